import Books
import FoundationEssentials
import Synchronization
import Telemetry

/// Keeps what explains a mismatch in files, the newest few.
final class EvidenceStore: Sendable {
    static let fileLimit = 20
    private static let log = Log("evidence")

    private let directory: String
    private let files: AsyncStream<(name: String, evidence: Evidence, audit: BookAudit, book: BookID)>
    private let enqueue:
        AsyncStream<(name: String, evidence: Evidence, audit: BookAudit, book: BookID)>.Continuation
    private let number = Atomic<Int>(0)

    init(directory: String) {
        self.directory = directory
        (files, enqueue) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(4))
    }

    /// Takes the evidence and returns the path of the file that will hold it; never waits.
    func keep(_ evidence: Evidence, _ audit: BookAudit, of book: BookID) -> String {
        let count = number.add(1, ordering: .relaxed).newValue
        let market = String(book.market.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })
        let name = "audit-\(book.venue)-\(market)-\(audit.lastID)-\(WallClock.milliseconds)-\(count).json"
        enqueue.yield((name, evidence, audit, book))
        return "\(directory)/\(name)"
    }

    /// Writes files until cancelled.
    func run() async {
        for await (name, evidence, audit, book) in files {
            do {
                try write(EvidenceText.render(evidence, audit, book), to: name)
            } catch {
                Self.log.warning(
                    "Cannot keep the evidence of a mismatch", ["file": name, "error": "\(error)"])
            }
        }
    }

    private func write(_ bytes: [UInt8], to name: String) throws {
        let manager = FileManager.default
        try manager.createDirectory(
            atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        try Data(bytes).write(to: URL(filePath: "\(directory)/\(name)"), options: .atomic)
        let kept = try manager.contentsOfDirectory(atPath: directory).filter { $0.hasPrefix("audit-") }
        guard kept.count > Self.fileLimit else { return }
        let dated = try kept.map { file in
            let date = try manager.attributesOfItem(atPath: "\(directory)/\(file)")[.modificationDate]
            return (file, date as? Date ?? .distantPast)
        }
        for (file, _) in dated.sorted(by: { $0.1 < $1.1 }).prefix(kept.count - Self.fileLimit) {
            try manager.removeItem(atPath: "\(directory)/\(file)")
        }
    }
}

/// The JSON of an evidence file.
enum EvidenceText {
    static func render(_ evidence: Evidence, _ audit: BookAudit, _ book: BookID) -> [UInt8] {
        var text = "{\"exchange\":\"\(book.venue)\",\"market\":\"\(escaped(book.market))\","
        text += "\"interval_ms\":\(book.intervalMilliseconds),\"update_id\":\(audit.lastID),\n"
        text += "\"bids\":\(side(audit.bids)),\n\"asks\":\(side(audit.asks)),\n"
        text += "\"ours\":\(image(evidence.ours)),\n\"theirs\":\(image(evidence.theirs)),\n\"events\":["
        for (index, entry) in evidence.events.enumerated() {
            let event = entry.event
            text += index == 0 ? "\n" : ",\n"
            text += "{\"received\":\(entry.receivedTime),\"E\":\(event.eventTime),\"U\":\(event.first),"
            text += "\"u\":\(event.last),\"pu\":\(event.sentPrevious.map { "\($0)" } ?? "null"),"
            text += "\"b\":\(levels(event.bids)),\"a\":\(levels(event.asks))}"
        }
        return Array((text + "]}\n").utf8)
    }

    private static func side(_ side: SideAudit) -> String {
        let differences = side.firstDifferences.map { difference in
            "[\(quoted(difference.price)),\(quoted(difference.ours)),\(quoted(difference.theirs))]"
        }
        return
            "{\"matched\":\(side.matched),\"drifted\":\(side.drifted),\"orphaned\":\(side.orphaned),\"missed\":\(side.missed),"
            + "\"compared_to\":\(quoted(side.comparedTo)),\"price_ours_theirs\":[\(differences.joined(separator: ","))]}"
    }

    private static func image(_ image: BookImage) -> String {
        "{\"update_id\":\(image.lastID),\"event_time\":\(image.eventTime.map { "\($0)" } ?? "null"),"
            + "\"bid_floor\":\(quoted(image.bidFloor)),\"ask_ceiling\":\(quoted(image.askCeiling)),"
            + "\"bids\":\(levels(image.bids)),\"asks\":\(levels(image.asks))}"
    }

    private static func levels(_ levels: [PriceLevel]) -> String {
        "[" + levels.map { "[\(quoted($0.price)),\(quoted($0.quantity))]" }.joined(separator: ",") + "]"
    }

    private static func quoted(_ number: FixedDecimal?) -> String {
        guard let number else { return "null" }
        var bytes: [UInt8] = []
        DecimalText.canonical.append(number, to: &bytes)
        return "\"" + String(decoding: bytes, as: UTF8.self) + "\""
    }

    private static func escaped(_ text: String) -> String {
        String(text.filter { $0 != "\"" && $0 != "\\" && !($0.asciiValue.map { $0 < 0x20 } ?? false) })
    }
}
