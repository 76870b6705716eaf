/// One entry of `status.conditions`.
package struct Condition: Codable, Equatable, Sendable {
    package enum Status: String, Codable, Sendable {
        case yes = "True"
        case no = "False"
        case unknown = "Unknown"

        package init(_ claim: Bool) { self = claim ? .yes : .no }
    }

    package var type: String
    package var status: Status
    package var reason: String
    package var message: String
    package var observedGeneration: Int64?
    package var lastTransitionTime: Timestamp

    package init(
        type: String, status: Status, reason: String, message: String, observedGeneration: Int64?,
        lastTransitionTime: Timestamp
    ) {
        self.type = type
        self.status = status
        self.reason = reason
        self.message = message
        self.observedGeneration = observedGeneration
        self.lastTransitionTime = lastTransitionTime
    }
}

extension [Condition] {
    /// Sets one condition: the generation always moves, the transition time only with the status.
    package mutating func set(_ new: Condition) {
        var new = new
        guard let index = firstIndex(where: { $0.type == new.type }) else { return append(new) }
        if self[index].status == new.status { new.lastTransitionTime = self[index].lastTransitionTime }
        self[index] = new
    }

    package subscript(type: String) -> Condition? { first { $0.type == type } }
}
