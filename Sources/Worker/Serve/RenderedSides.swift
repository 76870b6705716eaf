import Books
import Telemetry

/// The text of deep sides that have not changed since: between two events of a book all its readers get the same levels.
///
/// A version names one state of one book for ever, so what is kept is, byte for byte, what would be written again. There is
/// nothing to configure and nothing that can be stale; a side that has changed is written anew.
final class RenderedSides: Sendable {
    /// Shorter ones are written as fast as they are found.
    static let fewestLevels = 100
    /// What is kept at most, together a few MiB.
    static let most = 16
    private static let mostBytes = 256 << 10

    private struct Key: Equatable, Sendable {
        var version: UInt64
        var side: Side
        var count: Int
        var text: DecimalText
    }
    private struct State: Sendable {
        var kept: [(key: Key, bytes: [UInt8])] = []
        /// The place of the oldest, which is given up next.
        var oldest = 0
    }
    private let state = Guarded(State())

    /// Appends the levels as `BookSide.appendJSON` does; `version` is that of the side's book.
    func append(
        _ side: borrowing BookSide, _ selection: LevelSelection, of version: UInt64, as text: DecimalText,
        to bytes: inout [UInt8]
    ) {
        guard selection.count >= Self.fewestLevels else {
            return side.appendJSON(selection, as: text, to: &bytes)
        }
        let key = Key(version: version, side: side.side, count: selection.count, text: text)
        if let known = state.read({ $0.kept.first { $0.key == key }?.bytes }) {
            return bytes.append(contentsOf: known)
        }
        let start = bytes.count
        side.appendJSON(selection, as: text, to: &bytes)
        guard bytes.count - start <= Self.mostBytes else { return }
        let new = (key: key, bytes: Array(bytes[start...]))
        state.withLock { state in
            if state.kept.count < Self.most { return state.kept.append(new) }
            state.kept[state.oldest] = new
            state.oldest = (state.oldest + 1) % Self.most
        }
    }
}
