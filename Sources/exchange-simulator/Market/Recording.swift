import FoundationEssentials

/// A mistake in the arguments or in a recording, in words for the person who gave it.
struct SimulatorError: Error, Equatable, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// A recorded event as it will be replayed.
struct RecordedEvent: Sendable {
    /// Milliseconds after the first replayed event.
    var offset: Int64
    var first: Int64
    var last: Int64
    /// `pu`, where the recording has it.
    var previousLast: Int64?
    var levels: [Level]
}

/// A recording: a snapshot and the events that followed, of one market.
struct Recording: Sendable {
    var exchange: String
    var symbol: String
    var format: DecimalFormat
    var snapshotID: Int64
    var book: MarketBook
    var events: [RecordedEvent]

    private struct SnapshotFile: Decodable {
        var lastUpdateId: Int64
        var bids: [[String]]
        var asks: [[String]]
    }

    private struct Line: Decodable {
        struct Frame: Decodable {
            var data: EventData?
        }
        var t: String
        var kind: String
        var frame: Frame?
    }

    private struct EventData: Decodable {
        var e: String
        var s: String
        var U: Int64?
        var u: Int64?
        var pu: Int64?
        var b: [[String]]?
        var a: [[String]]?
    }

    /// Reads a folder with `snapshot.json` and `events.jsonl`; `exchange=folder` names the exchange, else it is inferred.
    static func load(_ argument: String) throws(SimulatorError) -> Recording {
        var folder = argument
        var exchange: String?
        if let mark = argument.firstIndex(of: "="), Exchange.named(String(argument[..<mark])) != nil {
            exchange = Exchange.named(String(argument[..<mark]))?.name
            folder = String(argument[argument.index(after: mark)...])
        }
        let snapshotBytes = try read(folder + "/snapshot.json")
        let snapshot: SnapshotFile
        do { snapshot = try JSONDecoder().decode(SnapshotFile.self, from: snapshotBytes) } catch {
            throw SimulatorError(
                "\(folder)/snapshot.json: expected a depth snapshot, was something else: \(error)")
        }
        let lines = try depthLines(folder + "/events.jsonl")
        guard let symbol = lines.first?.data.s else {
            throw SimulatorError("\(folder)/events.jsonl: expected depth events, found none")
        }
        let format = Self.format(snapshot, lines.map(\.data))
        var book = MarketBook()
        for level in try levels(snapshot.bids, snapshot.asks, format, "\(folder)/snapshot.json") {
            book.set(level.key, level.quantity)
        }
        var events: [RecordedEvent] = []
        var start: Double?
        for line in lines {
            let data = line.data
            guard let first = data.U, let last = data.u, last > snapshot.lastUpdateId else { continue }
            start = start ?? line.time
            events.append(
                RecordedEvent(
                    offset: Int64((line.time - (start ?? line.time)) * 1000), first: first, last: last,
                    previousLast: data.pu,
                    levels: try levels(data.b ?? [], data.a ?? [], format, "\(folder)/events.jsonl")))
        }
        return Recording(
            exchange: exchange ?? inferExchange(folder, symbol, hasPrevious: lines[0].data.pu != nil),
            symbol: symbol, format: format, snapshotID: snapshot.lastUpdateId, book: book, events: events)
    }

    private static func read(_ path: String) throws(SimulatorError) -> Data {
        do { return try Data(contentsOf: URL(fileURLWithPath: path)) } catch {
            throw SimulatorError("\(path): expected a readable file")
        }
    }

    private static func depthLines(
        _ path: String
    ) throws(SimulatorError) -> [(time: Double, data: EventData)] {
        var result: [(time: Double, data: EventData)] = []
        let decoder = JSONDecoder()
        let mark = Data("\"depth\"".utf8)
        for (number, bytes) in try read(path).split(separator: UInt8(ascii: "\n")).enumerated() {
            // Lines of other kinds are told apart before they cost a decoding.
            guard bytes.prefix(80).firstRange(of: mark) != nil else { continue }
            do {
                let line = try decoder.decode(Line.self, from: Data(bytes))
                guard line.kind == "depth", let data = line.frame?.data, let time = Double(line.t) else {
                    continue
                }
                result.append((time, data))
            } catch { throw SimulatorError("\(path): line \(number + 1) cannot be understood: \(error)") }
        }
        return result
    }

    private static func format(_ snapshot: SnapshotFile, _ events: [EventData]) -> DecimalFormat {
        var format = DecimalFormat(priceScale: 0, quantityScale: 0)
        func look(_ side: [[String]]) {
            for pair in side where pair.count == 2 {
                format.priceScale = max(format.priceScale, DecimalFormat.scale(of: pair[0]))
                format.quantityScale = max(format.quantityScale, DecimalFormat.scale(of: pair[1]))
            }
        }
        look(snapshot.bids)
        look(snapshot.asks)
        for event in events {
            look(event.b ?? [])
            look(event.a ?? [])
        }
        return format
    }

    private static func levels(
        _ bids: [[String]], _ asks: [[String]], _ format: DecimalFormat, _ file: String
    ) throws(SimulatorError) -> [Level] {
        var result: [Level] = []
        result.reserveCapacity(bids.count + asks.count)
        for (side, sign) in [(bids, Int64(1)), (asks, Int64(-1))] {
            for pair in side {
                guard pair.count == 2, let price = DecimalFormat.parse(pair[0], scale: format.priceScale),
                    let quantity = DecimalFormat.parse(pair[1], scale: format.quantityScale), price > 0
                else { throw SimulatorError("\(file): expected a price and a quantity, was \(pair)") }
                result.append(Level(key: sign * price, quantity: quantity))
            }
        }
        return result
    }

    /// The exchange of a recording by the names of its folders and the form of its events.
    static func inferExchange(_ folder: String, _ symbol: String, hasPrevious: Bool) -> String {
        let names = folder.split(separator: "/").suffix(2).map { $0.lowercased() }
        func mentions(_ word: String) -> Bool { names.contains { $0 == word || $0.hasPrefix(word + "_") } }
        if hasPrevious {
            if symbol.split(separator: "-").count == 4 { return "binance.com-vanilla-options" }
            return symbol.contains("_") && !mentions("usdm")
                ? "binance.com-coin_futures" : "binance.com-futures"
        }
        return mentions("us") ? "binance.us" : mentions("tr") ? "trbinance.com" : "binance.com"
    }
}
