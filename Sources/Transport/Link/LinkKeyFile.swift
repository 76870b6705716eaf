import FoundationEssentials
import Telemetry

/// The file with the link's key as hexadecimal digits and, on a second line, the previous key; it may be replaced at any time.
package struct LinkKeyFile: Sendable {
    /// How often the file is looked at again, at most.
    private static let interval: Duration = .seconds(5)

    /// The keys as last read.
    package let keys: @Sendable () -> LinkKeys

    /// - Throws: `TransportError` if there is no key in the file now; later the last one stays.
    package init(path: String) throws(TransportError) {
        let last = Guarded((keys: try Self.read(path), at: ContinuousClock.now))
        keys = {
            last.withLock { last in
                guard last.at.duration(to: .now) > Self.interval else { return last.keys }
                last.at = .now
                last.keys = Self.readAgain(path) ?? last.keys
                return last.keys
            }
        }
    }

    private static func readAgain(_ path: String) -> LinkKeys? {
        do { return try read(path) } catch {
            Log("link").warning("Link key cannot be read, the last one stays", ["reason": error.message])
            return nil
        }
    }

    private static func read(_ path: String) throws(TransportError) -> LinkKeys {
        let text: String
        do { text = try String(contentsOf: URL(filePath: path), encoding: .utf8) } catch {
            throw TransportError("cannot read the link key file \(path): \(error)", source: .ours)
        }
        var keys: [[UInt8]] = []
        for line in text.split(whereSeparator: \.isWhitespace) {
            guard let key = Digest.bytes(hex: line) else { break }
            keys.append(key)
        }
        guard let current = keys.first, current.count >= 16 else {
            throw TransportError("expected a link key of at least 32 hex digits in \(path)", source: .ours)
        }
        return LinkKeys(current: current, previous: keys.dropFirst().first)
    }
}
