import FoundationEssentials
import Glibc

/// What goes to standard output: tables that fit a terminal, or fields between tabs for programs.
enum Screen {
    static var isTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

    static func write(_ text: String) { write(text, to: STDOUT_FILENO) }

    static func write(_ text: String, to descriptor: Int32) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = unsafe bytes.withUnsafeBytes {
                unsafe Glibc.write(descriptor, $0.baseAddress, $0.count)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            bytes = bytes.dropFirst(count)
        }
    }

    /// Rows and columns; 24 and 80 where nobody knows.
    static var size: (rows: Int, columns: Int) {
        var size = winsize()
        guard unsafe ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_row > 0, size.ws_col > 0
        else {
            return (24, 80)
        }
        return (Int(size.ws_row), Int(size.ws_col))
    }

    static var now: Double { Date.now.timeIntervalSince1970 }

    /// Shows what `frame` gives again and again until cancelled, in the terminal's second screen; afterwards it is as it was.
    static func live(every interval: Duration, _ frame: () async throws -> [String]) async throws {
        write("\u{1B}[?1049h\u{1B}[?25l")
        defer { write("\u{1B}[?25h\u{1B}[?1049l") }
        while true {
            let began = ContinuousClock.now
            let lines = try await frame()
            let (rows, columns) = size
            // One write without clearing first, or it flickers.
            let text = lines.prefix(rows - 1).map { "\($0.prefix(columns))\u{1B}[K\n" }.joined()
            write("\u{1B}[H\(text)\u{1B}[J")
            try await Task.sleep(until: began + interval, clock: .continuous)
        }
    }
}

/// Titles and rows of text.
struct TextTable: Equatable {
    var titles: [String]
    var rows: [[String]] = []
    /// Columns of numbers, which end below each other.
    var rightAligned: Set<Int> = []

    /// For a terminal: columns below each other, two blanks between them.
    var padded: [String] {
        let lines = [titles] + rows
        let widths = titles.indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
        return lines.map { line in
            let cells = line.indices.map { column in
                let blanks = String(repeating: " ", count: widths[column] - line[column].count)
                return rightAligned.contains(column) ? blanks + line[column] : line[column] + blanks
            }
            let text = cells.joined(separator: "  ")
            return text.lastIndex { $0 != " " }.map { String(text[...$0]) } ?? ""
        }
    }

    /// For programs: one line a row, a tab between two fields, none inside them.
    var tabbed: [String] {
        ([titles] + rows).map { line in
            line.map { $0.replacing("\t", with: " ").replacing("\n", with: " ") }.joined(separator: "\t")
        }
    }

    /// As it fits where standard output goes.
    func print() {
        Screen.write((Screen.isTerminal ? padded : tabbed).map { $0 + "\n" }.joined())
    }
}

/// Tells on standard error how far something is that takes longer than a second.
final class Progress {
    private let began = ContinuousClock.now
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private var shown: String?

    func show(_ text: String) {
        guard ContinuousClock.now - began > .seconds(1), text != shown else { return }
        shown = text
        Screen.write(isTerminal ? "\r\u{1B}[K\(text)" : text + "\n", to: STDERR_FILENO)
    }

    /// Leaves an empty line to what is said next.
    func end() {
        if isTerminal, shown != nil { Screen.write("\r\u{1B}[K", to: STDERR_FILENO) }
        shown = nil
    }
}

/// Ages in the words of kubectl: `12s`, `5m`, `3h`, `2d`.
enum Age {
    static func text(seconds: Double) -> String {
        let whole = Int(max(0, seconds))
        return switch whole {
        case ..<120: "\(whole)s"
        case ..<7200: "\(whole / 60)m"
        case ..<172_800: "\(whole / 3600)h"
        default: "\(whole / 86_400)d"
        }
    }
}
