import Binance
import Books

/// What the decoder of REST depth replies has to make of a body that is strictly JSON; nil: refuse it.
func referenceSnapshot(_ json: ReferenceJSON) -> BookSnapshot? {
    var snapshot = BookSnapshot()
    var found: Set<String> = []

    func read(_ fields: [(key: [UInt8], value: ReferenceJSON)], isEnvelope: Bool) -> Bool {
        for (key, value) in fields {
            let name = String(decoding: key, as: UTF8.self)
            switch name {
            case "lastUpdateId":
                guard let id = value.whole, id >= 0 else { return false }
                snapshot.lastID = id
                found.insert(name)
            case "bids", "asks":
                guard let levels = ReferenceFrame.levels(value) else { return false }
                if name == "bids" { snapshot.bids = levels } else { snapshot.asks = levels }
                found.insert(name)
            case "E", "T":
                if name == "T" && snapshot.eventTime != nil { continue }
                guard let time = value.whole, (0...1 << 53).contains(time) else { return false }
                snapshot.eventTime = time
            case "data" where isEnvelope:
                if case .object(let inner) = value {
                    guard read(inner, isEnvelope: false) else { return false }
                }
            default: break
            }
        }
        return true
    }

    guard case .object(let fields) = json, read(fields, isEnvelope: true), found.count == 3 else {
        return nil
    }
    return snapshot
}

/// What the decoder of `exchangeInfo` has to make of a body that is strictly JSON; nil: refuse it.
struct ReferenceInfo {
    var serverTime: Int64?
    /// Symbol and status.
    var markets: [[String]] = []
    /// Type, interval, number of intervals, limit.
    var limits: [[String]] = []

    init?(_ json: ReferenceJSON) {
        guard case .object(let fields) = json else { return nil }
        var hasMarkets = false
        for (key, value) in fields {
            switch (String(decoding: key, as: UTF8.self), value) {
            case ("serverTime", .array): break
            case ("serverTime", _): serverTime = value.whole.flatMap { (0...1 << 53).contains($0) ? $0 : nil }
            case ("symbols", .array(let elements)), ("optionSymbols", .array(let elements)):
                hasMarkets = true
                for element in elements {
                    guard let market = Self.market(element) else { return nil }
                    markets.append(market)
                }
            case ("rateLimits", .array(let elements)):
                for element in elements {
                    guard let limit = Self.limit(element) else { return nil }
                    limits.append(limit)
                }
            default: break
            }
        }
        guard hasMarkets else { return nil }
    }

    private static func market(_ json: ReferenceJSON) -> [String]? {
        guard case .object(let fields) = json else { return nil }
        var symbol = ""
        var status = ""
        for (key, value) in fields {
            switch (String(decoding: key, as: UTF8.self), value.unescaped) {
            case ("symbol", let text?): symbol = text
            case ("status", let text?), ("contractStatus", let text?): status = text
            default: break
            }
        }
        return symbol.isEmpty ? nil : [symbol, status]
    }

    private static func limit(_ json: ReferenceJSON) -> [String]? {
        guard case .object(let fields) = json else { return nil }
        var limit = ["", "", "1", "0"]
        for (key, value) in fields {
            switch String(decoding: key, as: UTF8.self) {
            case "rateLimitType": limit[0] = value.unescaped ?? limit[0]
            case "interval": limit[1] = value.unescaped ?? limit[1]
            case "intervalNum": limit[2] = value.whole.map(String.init) ?? limit[2]
            case "limit": limit[3] = value.whole.map(String.init) ?? limit[3]
            default: break
            }
        }
        return limit
    }
}
