/// Something that is wrong with a spec, in words for the person who wrote it.
package struct SpecViolation: Error, Equatable, Sendable, CustomStringConvertible {
    /// The field, such as `spec.replicas`.
    package var field: String
    /// What was expected and what was found.
    package var expectation: String

    package init(field: String, expectation: String) {
        self.field = field
        self.expectation = expectation
    }

    package var description: String { "\(field): \(expectation)" }
}

/// The bounds of a DepthCache's numbers; the schema of the CustomResourceDefinition says the same.
package enum SpecBounds {
    package static let replicas = 1...Int(Int32.max)
    package static let depth = 1...5000
    package static let updateIntervalMilliseconds = 1...60_000
    package static let refreshIntervalSeconds = 1...604_800
    package static let nameLength = 1...64
    package static let defaultReplicas = 1
    package static let defaultDepth = 500
}

extension DepthCacheSpec {
    /// Everything that the schema would refuse, for specs that came past it; empty for a good one.
    package var violations: [SpecViolation] {
        var found: [SpecViolation] = []
        func check(_ field: String, _ value: Int?, _ bounds: ClosedRange<Int>) {
            guard let value, !bounds.contains(value) else { return }
            found.append(
                SpecViolation(field: "spec.\(field)", expectation: Self.expectation(bounds, was: value)))
        }
        func check(_ field: String, _ value: String) {
            let length = value.unicodeScalars.count
            guard !SpecBounds.nameLength.contains(length) else { return }
            let was = length == 0 ? "was empty" : "had \(length)"
            found.append(
                SpecViolation(field: "spec.\(field)", expectation: "expected 1 to 64 characters, \(was)"))
        }
        check("exchange", exchange)
        check("market", market)
        check("replicas", replicas, SpecBounds.replicas)
        check("depth", depth, SpecBounds.depth)
        check("updateIntervalMilliseconds", updateIntervalMilliseconds, SpecBounds.updateIntervalMilliseconds)
        check("refreshIntervalSeconds", refreshIntervalSeconds, SpecBounds.refreshIntervalSeconds)
        return found
    }

    private static func expectation(_ bounds: ClosedRange<Int>, was value: Int) -> String {
        bounds.upperBound >= Int(Int32.max)
            ? "expected a whole number of at least \(bounds.lowerBound), was \(value)"
            : "expected a whole number from \(bounds.lowerBound) to \(bounds.upperBound), was \(value)"
    }
}
