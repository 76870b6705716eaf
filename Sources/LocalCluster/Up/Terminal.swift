import Glibc
import Telemetry

/// What the person at the terminal reads.
enum Terminal {
    /// What stands at the beginning of the line that is being typed; nil: nothing is asked at the moment.
    private static let prompt = Guarded<String?>(nil)

    /// Writes a line; a prompt gives way to it and comes again below.
    static func say(_ text: String) {
        prompt.withLock { prompt in
            let line = prompt.map { "\r\u{1B}[K\(text)\n\($0)" } ?? (text + "\n")
            _ = Files.writeAll(Array(line.utf8), to: STDOUT_FILENO)
        }
    }

    static func ask(_ text: String) {
        prompt.withLock { prompt in
            prompt = text
            _ = Files.writeAll(Array(text.utf8), to: STDOUT_FILENO)
        }
    }

    /// The line was typed, or will not be: nothing is put below what is said from now on.
    static func stopAsking() { prompt.withLock { $0 = nil } }

    /// Whether somebody sits at both ends of this process, and it has the terminal to itself.
    static var isInteractive: Bool {
        isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1 && tcgetpgrp(STDIN_FILENO) == getpgrp()
    }
}
