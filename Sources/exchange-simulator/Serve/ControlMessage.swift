import FoundationEssentials

/// Any JSON value, as far as control messages need it.
enum JSONTree: Decodable, Equatable {
    case null, boolean(Bool), integer(Int64), double(Double), string(String)
    case array([JSONTree])
    case object([String: JSONTree])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .boolean(value)
        } else if let value = try? container.decode(Int64.self) {
            self = .integer(value)
        } else if let value = try? container.decode(Double.self) {
            self = .double(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([JSONTree].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: JSONTree].self))
        }
    }
}

/// What a client asks for on a WebSocket.
enum ControlMethod: Equatable {
    case subscribe([String])
    case unsubscribe([String])
    case listSubscriptions
    case setCombined(Bool)
    case getCombined
}

/// The id of a request, given back as it came.
enum ControlID: Equatable {
    case absent, null, integer(Int64), string(String)

    /// `,"id":…`, or nothing if there was none.
    func write(to writer: inout ByteWriter, comma: Bool = true) {
        guard self != .absent else { return }
        writer.raw(comma ? ",\"id\":" : "\"id\":")
        switch self {
        case .integer(let value): writer.integer(value)
        case .string(let value): writer.string(value)
        case .null, .absent: writer.literal("null")
        }
    }
}

/// A refusal of a control message, with the exchange's code and words.
struct ControlError: Error, Equatable {
    var code: Int
    var message: String
    var id: ControlID = .absent

    var bytes: [UInt8] {
        var writer = ByteWriter(capacity: 200)
        writer.literal("{\"code\":")
        writer.integer(Int64(code))
        writer.literal(",\"msg\":")
        writer.string(message)
        id.write(to: &writer)
        writer.literal("}")
        return writer.bytes
    }
}

/// A control message that was understood.
struct ControlMessage: Equatable {
    var method: ControlMethod
    var id: ControlID

    static func parse(_ bytes: [UInt8]) throws(ControlError) -> ControlMessage {
        guard let tree = try? JSONDecoder().decode(JSONTree.self, from: Data(bytes)) else {
            throw ControlError(code: 3, message: "Invalid JSON: expected value at line 1 column 1")
        }
        guard case .object(let object) = tree else {
            throw ControlError(code: 2, message: "Invalid request: request must be an object")
        }
        let id = try identifier(object["id"])
        guard case .string(let name)? = object["method"] else {
            throw ControlError(code: 2, message: "Invalid request: missing field `method`", id: id)
        }
        let method: ControlMethod
        switch name {
        case "SUBSCRIBE": method = .subscribe(try names(object["params"], id))
        case "UNSUBSCRIBE": method = .unsubscribe(try names(object["params"], id))
        case "LIST_SUBSCRIPTIONS": method = .listSubscriptions
        case "SET_PROPERTY": method = .setCombined(try property(object["params"], id, takesValue: true))
        case "GET_PROPERTY":
            _ = try property(object["params"], id, takesValue: false)
            method = .getCombined
        default:
            throw ControlError(
                code: 2,
                message:
                    "Invalid request: unknown variant `\(name)`, expected one of `SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY`",
                id: id)
        }
        return ControlMessage(method: method, id: id)
    }

    private static func identifier(_ value: JSONTree?) throws(ControlError) -> ControlID {
        switch value {
        case nil: return .absent
        case .null?: return .null
        case .integer(let number)?: return .integer(number)
        case .string(let text)?
        where text.count <= 36
            && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") }:
            return .string(text)
        default:
            throw ControlError(
                code: 2,
                message:
                    "Invalid request: request ID must be a signed integer, an alphanumeric string up to 36 characters, or null"
            )
        }
    }

    private static func names(_ value: JSONTree?, _ id: ControlID) throws(ControlError) -> [String] {
        guard let value else {
            throw ControlError(code: 2, message: "Invalid request: missing field `params`", id: id)
        }
        guard case .array(let items) = value else {
            throw ControlError(code: 2, message: "Invalid request: params must be an array", id: id)
        }
        var names: [String] = []
        for item in items {
            guard case .string(let name) = item else {
                throw ControlError(code: 1, message: "Invalid value type: expected String", id: id)
            }
            names.append(name)
        }
        return names
    }

    private static func property(
        _ value: JSONTree?, _ id: ControlID, takesValue: Bool
    ) throws(ControlError) -> Bool {
        guard case .array(let items)? = value, items.count == (takesValue ? 2 : 1) else {
            throw ControlError(code: 2, message: "Invalid request: wrong number of parameters", id: id)
        }
        guard items[0] == .string("combined") else {
            throw ControlError(code: 0, message: "Unknown property", id: id)
        }
        guard takesValue else { return true }
        guard case .boolean(let isCombined) = items[1] else {
            throw ControlError(code: 1, message: "Invalid value type: expected Boolean", id: id)
        }
        return isCombined
    }

    /// `{"result":…,"id":…}`.
    static func reply(_ result: String, _ id: ControlID) -> [UInt8] {
        var writer = ByteWriter(capacity: 100)
        writer.literal("{\"result\":")
        writer.raw(result)
        id.write(to: &writer)
        writer.literal("}")
        return writer.bytes
    }
}
