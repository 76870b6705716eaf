/// What a worker answers to a `BookQuery`.
package enum BookAnswer: Equatable, Sendable {
    /// A complete JSON envelope object, which the gateway passes on as it is.
    case served(ArraySlice<UInt8>)
    /// The book is here and out of sync; the reason is for people.
    case notSynchronized(reason: String)
    /// This worker has no replica of that market (any more, or yet).
    case notHere
    case badRequest(parameter: String, message: String)

    /// Starts a `served` payload; the worker renders the JSON straight behind it.
    package static func beginServed(into bytes: inout [UInt8]) {
        bytes.append(LinkPayload.version)
        bytes.append(0)
    }

    package func encode(into bytes: inout [UInt8]) {
        switch self {
        case .served(let json):
            Self.beginServed(into: &bytes)
            bytes.append(contentsOf: json)
        case .notSynchronized(let reason):
            bytes.append(LinkPayload.version)
            bytes.append(1)
            bytes.appendText(reason, atMost: LinkPayload.longestText)
        case .notHere:
            bytes.append(LinkPayload.version)
            bytes.append(2)
        case .badRequest(let parameter, let message):
            bytes.append(LinkPayload.version)
            bytes.append(3)
            bytes.appendText(parameter, atMost: LinkPayload.longestName)
            bytes.appendText(message, atMost: LinkPayload.longestText)
        }
    }

    package func encoded() -> [UInt8] {
        var bytes: [UInt8] = []
        encode(into: &bytes)
        return bytes
    }

    /// Reads a payload; `served` shares the storage of `bytes` and must at least look like an object.
    package init(decoding bytes: [UInt8]) throws(LinkPayloadError) {
        var reader = PayloadReader(bytes)
        try reader.version()
        switch try reader.byte("outcome") {
        case 0:
            let json = bytes[reader.position...]
            guard json.count > 2, json.first == UInt8(ascii: "{"), json.last == UInt8(ascii: "}") else {
                throw LinkPayloadError("expected a JSON object, was \(json.count) other bytes")
            }
            self = .served(json)
        case 1:
            self = .notSynchronized(reason: try reader.text("reason", atMost: LinkPayload.longestText))
            try reader.end()
        case 2:
            self = .notHere
            try reader.end()
        case 3:
            self = .badRequest(
                parameter: try reader.text("parameter", atMost: LinkPayload.longestName),
                message: try reader.text("message", atMost: LinkPayload.longestText))
            try reader.end()
        case let outcome: throw LinkPayloadError("expected outcome 0 to 3, was \(outcome)")
        }
    }
}
