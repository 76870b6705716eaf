import Arguments
import Binance
import Books
import FoundationEssentials
import Transport

/// `fathom replay`: what a recording of an exchange's feed comes to, as one JSON object.
enum ReplayCommand: Command {
    static let specification = CommandSpecification(
        name: "fathom replay",
        summary: "Replay a recorded feed and print the book that it leads to.",
        discussion:
            "All levels are kept. The output has string pairs, best first, and the digest of all levels.",
        flags: [
            .value("exchange", "NAME", help: "The exchange whose rules hold, such as binance.com."),
            .value("snapshot", "FILE", help: "The REST body of the depth request."),
            .value("events", "FILE", help: "The recorded frames, one JSON object a line."),
            .value("depth", "N", default: "20", help: "How many levels a side to print."),
        ])

    static func run(_ arguments: ParsedArguments) async throws {
        let output = String(decoding: try replay(arguments), as: UTF8.self)
        print(output, terminator: output.hasSuffix("\n") ? "" : "\n")
    }

    /// Runs the replay; returns what goes to standard output.
    static func replay(_ arguments: ParsedArguments) throws -> [UInt8] {
        let name = try arguments.required("exchange")
        guard let exchange = ExchangeDirectory()[name: name] else {
            let known = ExchangeDirectory().names.joined(separator: ", ")
            throw ArgumentError("--exchange: expected one of \(known), was '\(name)'")
        }
        let snapshotFile = try arguments.required("snapshot")
        let snapshot = try read(snapshotFile, flag: "snapshot")
        let events = try read(arguments.required("events"), flag: "events")
        let depth = try arguments.integer("depth", in: 0...1_000_000) ?? 20
        // After a lost connection a recording goes on from a later snapshot, which lies beside the first one.
        let folder = URL(filePath: snapshotFile).deletingLastPathComponent()
        var replay = try RecordingReplay(exchange: exchange, snapshot: snapshot) { name in
            guard !name.contains("/") else { return nil }
            return (try? Data(contentsOf: folder.appending(path: name))).map { Array($0) }
        }
        for line in events.split(separator: 0x0A) { try replay.receive(line: line) }
        return json(replay.finish(depth: depth))
    }

    private static func read(_ path: String, flag: String) throws(ArgumentError) -> [UInt8] {
        do {
            return try Array(Data(contentsOf: URL(filePath: path)))
        } catch {
            throw ArgumentError("--\(flag): expected a readable file, was '\(path)'")
        }
    }

    private static func json(_ result: RecordingReplay.Result) -> [UInt8] {
        var text = "{\"dropped\":\(result.dropped),\"applied\":\(result.applied),\"gaps\":\(result.gaps)"
        text += ",\"final_u\":\(result.finalID)"
        text += ",\"bids\":\(pairs(result.bids)),\"asks\":\(pairs(result.asks))"
        if let reason = result.reason {
            text += ",\"book_sha256\":null,\"out_of_sync\":\"\(reason.rawValue)\"}\n"
        } else {
            text += ",\"book_sha256\":\"\(Digest.hex(Digest.sha256(result.canonicalText)))\"}\n"
        }
        return Array(text.utf8)
    }

    private static func pairs(_ levels: [PriceLevel]) -> String {
        "[" + levels.map { "[\"\($0.price)\",\"\($0.quantity)\"]" }.joined(separator: ",") + "]"
    }
}
