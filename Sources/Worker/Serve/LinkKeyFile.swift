import FoundationEssentials
import Telemetry
import Transport

/// The key of the links, out of a file that may be replaced at any time: hex, the current one first, then the one before.
final class LinkKeyFile: Sendable {
    private let path: String
    private let clock: WorkerClock
    private let state: Guarded<(keys: LinkKeys, read: Duration)>

    init(path: String, clock: WorkerClock) throws(WorkerError) {
        self.path = path
        self.clock = clock
        state = Guarded((try Self.read(path), clock.now))
    }

    /// The keys; the file is looked at again at most every five seconds.
    var keys: LinkKeys {
        let now = clock.now
        return state.withLock { state in
            guard now - state.read > .seconds(5) else { return state.keys }
            state.read = now
            do { state.keys = try Self.read(path) } catch {
                Log("worker").warning("Link key cannot be read, the last one stays", ["error": "\(error)"])
            }
            return state.keys
        }
    }

    private static func read(_ path: String) throws(WorkerError) -> LinkKeys {
        let text: String
        do { text = try String(contentsOfFile: path, encoding: .utf8) } catch {
            throw WorkerError("cannot read the link key file \(path): \(error)")
        }
        let lines = text.split(whereSeparator: \.isWhitespace)
        guard let first = lines.first, let current = Digest.bytes(hex: first), current.count >= 16 else {
            throw WorkerError("expected a link key of at least 32 hex digits in \(path)")
        }
        return LinkKeys(current: current, previous: lines.dropFirst().first.flatMap { Digest.bytes(hex: $0) })
    }
}

/// Why a worker could not start or go on.
package struct WorkerError: Error, Equatable, CustomStringConvertible {
    package let description: String
    init(_ description: String) { self.description = description }
}
