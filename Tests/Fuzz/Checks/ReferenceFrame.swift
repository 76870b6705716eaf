import Binance
import Books

/// What the wire parser has to make of a frame that is strictly JSON, worked out on a tree.
struct ReferenceFrame {
    var event = DepthEvent()
    /// What the frame says, in words; nil: it has to be refused.
    var message: String?
    /// The code and message of a reply.
    var reply: (id: Int64?, code: Int64?, message: String?) = (nil, nil, nil)

    private enum Kind { case none, depth, shutdown, other }
    private var kind = Kind.none
    private var stream = 0..<0
    private var symbol = 0..<0
    private var hasFirst = false, hasLast = false, hasBids = false, hasAsks = false
    private var isBroken = false
    private var isReply = false

    init(_ json: ReferenceJSON) {
        switch json {
        case .array: message = "other"
        case .object(let fields):
            read(fields, isWrapper: true)
            message = judge()
        default: message = nil
        }
    }

    /// The parser's message in the same words.
    static func words(_ message: WireMessage) -> String {
        switch message {
        case .depth(let stream, let symbol): "depth \(stream) \(symbol)"
        case .reply(let reply): words(reply.id, reply.errorCode, reply.message)
        case .serverShutdown: "serverShutdown"
        case .other: "other"
        }
    }

    private static func words(_ id: Int64?, _ code: Int64?, _ message: String?) -> String {
        "reply id \(id, default: "-") code \(code, default: "-") message \(message ?? "-")"
    }

    /// Where the first field `stream` of the outermost object has its text; empty if it is something else.
    static func streamName(_ json: ReferenceJSON) -> Range<Int>? {
        guard case .object(let fields) = json else { return nil }
        return fields.first { $0.key == Array("stream".utf8) }.map { range($0.value) }
    }

    private func judge() -> String? {
        switch kind {
        case .shutdown: return "serverShutdown"
        case .other: return "other"
        case .none: return isReply ? Self.words(reply.id, reply.code, reply.message) : "other"
        case .depth:
            let isWhole = hasFirst && hasLast && hasBids && hasAsks && !isBroken
            guard isWhole, event.first >= 0, event.first <= event.last else { return nil }
            return "depth \(stream) \(symbol)"
        }
    }

    private static func range(_ value: ReferenceJSON) -> Range<Int> {
        if case .text(let bytes, let start) = value { start..<start + bytes.count } else { 0..<0 }
    }

    private mutating func read(_ fields: [(key: [UInt8], value: ReferenceJSON)], isWrapper: Bool) {
        for (key, value) in fields {
            switch String(decoding: key, as: UTF8.self) {
            case "U":
                hasFirst = value.whole != nil
                event.first = value.whole ?? 0
            case "u":
                hasLast = value.whole != nil
                event.last = value.whole ?? 0
            case "E":
                let time = value.whole.flatMap { (0...1 << 53).contains($0) ? $0 : nil }
                if time == nil { isBroken = true }
                event.eventTime = time ?? 0
            case "s": symbol = Self.range(value)
            case "b": (event.bids, hasBids) = levels(value)
            case "a": (event.asks, hasAsks) = levels(value)
            case "e":
                if value.isText("depthUpdate") {
                    kind = .depth
                } else {
                    kind = value.isText("serverShutdown") ? .shutdown : .other
                }
            case "pu":
                event.sentPrevious = value.whole
                if value.whole.map({ $0 < 0 }) ?? true { isBroken = true }
            case "id":
                isReply = true
                reply.id = value.whole
            case "data" where isWrapper:
                if case .object(let inner) = value { read(inner, isWrapper: false) }
            case "stream" where isWrapper: stream = Self.range(value)
            case let name where isWrapper: readControl(name, value)
            default: break
            }
        }
    }

    private mutating func levels(_ value: ReferenceJSON) -> ([PriceLevel], Bool) {
        guard case .array = value else { return ([], false) }
        guard let levels = Self.levels(value) else {
            isBroken = true
            return ([], true)
        }
        return (levels, true)
    }

    private mutating func readControl(_ name: String, _ value: ReferenceJSON) {
        switch (name, value) {
        case ("result", _): isReply = true
        case ("code", _):
            isReply = true
            reply.code = value.whole ?? -1
        case ("msg", .text): reply.message = value.unescaped
        case ("error", .object(let fields)):
            isReply = true
            for (key, value) in fields { readErrorField(String(decoding: key, as: UTF8.self), value) }
        default: break
        }
    }

    private mutating func readErrorField(_ name: String, _ value: ReferenceJSON) {
        if name != "error" { readControl(name, value) }
    }

    /// The levels of a list, all of them pairs of decimals with a price above zero.
    static func levels(_ value: ReferenceJSON) -> [PriceLevel]? {
        guard case .array(let elements) = value else { return nil }
        var levels: [PriceLevel] = []
        for element in elements {
            guard case .array(let pair) = element, pair.count == 2, let price = decimal(pair[0]),
                let quantity = decimal(pair[1]), price.mantissa > 0
            else { return nil }
            levels.append(PriceLevel(price: price, quantity: quantity))
        }
        return levels
    }

    private static func decimal(_ value: ReferenceJSON) -> FixedDecimal? {
        guard case .text(let bytes, _) = value else { return nil }
        let parts = bytes.split(separator: 0x2E, omittingEmptySubsequences: false)
        guard parts.count <= 2,
            parts.allSatisfy({ !$0.isEmpty && $0.allSatisfy { (0x30...0x39).contains($0) } })
        else { return nil }
        let scale = parts.count == 2 ? parts[1].count : 0
        guard scale <= 18, let mantissa = Int64(String(decoding: parts.joined(), as: UTF8.self)) else {
            return nil
        }
        return FixedDecimal(mantissa: mantissa, scale: UInt8(scale))
    }
}
