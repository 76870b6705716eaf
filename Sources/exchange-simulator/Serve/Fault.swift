/// The troubles that can be made on purpose.
enum Fault: String, CaseIterable {
    case gap, duplicate, reorder, disconnect, silence, garbage, serverShutdown, idreset
    case slowsnapshot, stalesnapshot, pingLoss = "ping-loss", refuse
    case tooManyRequests = "429"
    case banned = "418"
    case unavailable = "503"
    case halt, cancelOnly = "cancel-only", resume, expire, corrupt, late

    /// Whether it concerns the whole exchange and no single market.
    var isExchangeWide: Bool {
        switch self {
        case .serverShutdown, .tooManyRequests, .banned, .unavailable, .refuse: true
        default: false
        }
    }
}

/// The forms of frames that no client can use.
enum GarbageForm: String, CaseIterable {
    case truncated, text, level, fields
}

/// A fault with its parameters, as `/control` takes it.
struct FaultRequest: Equatable {
    var exchange: String
    var symbol: String?
    var fault: Fault
    var count = 1
    /// How many connections a disconnect drops; nil: all.
    var connectionLimit: Int?
    var durationMilliseconds = 10_000
    var delayMilliseconds = 2000
    var form = GarbageForm.truncated
    /// Which level is corrupted, counted from the best one, which is 0.
    var rank = 100
    var isAsks = false

    static func parse(_ query: QueryString) throws(SimulatorError) -> FaultRequest {
        let known = ["exchange", "symbol", "fault", "count", "duration", "delay", "form", "rank", "side"]
        for item in query.items where !known.contains(item.name) {
            throw SimulatorError(
                "unknown parameter '\(item.name)', expected one of \(known.joined(separator: ", "))")
        }
        guard let name = query["exchange"] else { throw SimulatorError("parameter 'exchange' is required") }
        guard let exchange = Exchange.named(name) else { throw SimulatorError("unknown exchange '\(name)'") }
        guard let faultName = query["fault"] else { throw SimulatorError("parameter 'fault' is required") }
        guard let fault = Fault(rawValue: faultName) else {
            let all = Fault.allCases.map(\.rawValue).joined(separator: ", ")
            throw SimulatorError("unknown fault '\(faultName)', expected one of \(all)")
        }
        if fault.isExchangeWide, query["symbol"] != nil {
            throw SimulatorError(
                "fault '\(faultName)' concerns the whole exchange, so 'symbol' must be left out")
        }
        var request = FaultRequest(exchange: exchange.name, symbol: query["symbol"], fault: fault)
        if let text = query["count"] { request.count = try whole("count", text, 1...10_000) }
        if request.fault == .disconnect, query["count"] != nil { request.connectionLimit = request.count }
        if let text = query["duration"] { request.durationMilliseconds = try seconds("duration", text) }
        if let text = query["delay"] { request.delayMilliseconds = try seconds("delay", text) }
        if let text = query["rank"] { request.rank = try whole("rank", text, 0...100_000) }
        if let text = query["side"] {
            guard text == "bids" || text == "asks" else {
                throw SimulatorError("parameter 'side': expected bids or asks, was '\(text)'")
            }
            request.isAsks = text == "asks"
        }
        if let text = query["form"] {
            guard let form = GarbageForm(rawValue: text) else {
                let all = GarbageForm.allCases.map(\.rawValue).joined(separator: ", ")
                throw SimulatorError("parameter 'form': expected one of \(all), was '\(text)'")
            }
            request.form = form
        }
        return request
    }

    private static func whole(
        _ name: String, _ text: String, _ range: ClosedRange<Int>
    ) throws(SimulatorError) -> Int {
        guard let value = Int(text), range.contains(value) else {
            throw SimulatorError(
                "parameter '\(name)': expected a whole number from \(range.lowerBound) to \(range.upperBound), was '\(text)'"
            )
        }
        return value
    }

    private static func seconds(_ name: String, _ text: String) throws(SimulatorError) -> Int {
        guard let value = Double(text), value >= 0, value <= 86_400 else {
            throw SimulatorError("parameter '\(name)': expected seconds from 0 to 86400, was '\(text)'")
        }
        return Int(value * 1000)
    }
}
