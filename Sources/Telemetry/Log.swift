import Glibc
import Synchronization

/// How much a log line matters.
package enum LogLevel: Int, Sendable, Comparable, CaseIterable {
    case debug, info, warning, error

    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

    package var name: String {
        switch self {
        case .debug: "debug"
        case .info: "info"
        case .warning: "warning"
        case .error: "error"
        }
    }

    package init?(name: String) {
        guard let level = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = level
    }
}

/// What a log line looks like: for people, or one JSON object each.
package enum LogFormat: String, Sendable {
    case text, json
}

/// Settings of the whole process, set once at its start.
package enum LogSettings {
    private static let level = Atomic<Int>(LogLevel.info.rawValue)
    private static let isJSON = Atomic<Bool>(false)

    package static func configure(format: LogFormat, level newLevel: LogLevel) {
        level.store(newLevel.rawValue, ordering: .relaxed)
        isJSON.store(format == .json, ordering: .relaxed)
    }

    package static func allows(_ other: LogLevel) -> Bool { other.rawValue >= level.load(ordering: .relaxed) }
    static var format: LogFormat { isJSON.load(ordering: .relaxed) ? .json : .text }
}

/// Writes lines of a constant message and fields to standard error, each with one `write`.
package struct Log: Sendable {
    private let component: String

    package init(_ component: String) { self.component = component }

    package func debug(_ message: String, _ fields: KeyValuePairs<String, String> = [:]) {
        write(.debug, message, fields)
    }
    package func info(_ message: String, _ fields: KeyValuePairs<String, String> = [:]) {
        write(.info, message, fields)
    }
    package func warning(_ message: String, _ fields: KeyValuePairs<String, String> = [:]) {
        write(.warning, message, fields)
    }
    package func error(_ message: String, _ fields: KeyValuePairs<String, String> = [:]) {
        write(.error, message, fields)
    }

    private func write(_ level: LogLevel, _ message: String, _ fields: KeyValuePairs<String, String>) {
        guard LogSettings.allows(level) else { return }
        let line = LogLine(
            time: LogLine.now(), level: level, component: component, message: message, fields: fields)
        var bytes = line.rendered(as: LogSettings.format)
        bytes.append(UInt8(ascii: "\n"))
        unsafe bytes.withUnsafeBytes { _ = unsafe Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}

/// One line, before it is text.
package struct LogLine {
    var time: String
    var level: LogLevel
    var component: String
    var message: String
    var fields: KeyValuePairs<String, String>

    func rendered(as format: LogFormat) -> [UInt8] {
        switch format {
        case .text:
            var text = "\(time) \(level.name.uppercased()) \(component): \(message)"
            for (key, value) in fields { text += " \(key)=\(Self.quotedIfNeeded(value))" }
            return Array(text.utf8)
        case .json:
            var bytes: [UInt8] = []
            let all =
                [("time", time), ("level", level.name), ("component", component), ("message", message)]
                + fields.map { ($0.key, $0.value) }
            for (index, (key, value)) in all.enumerated() {
                bytes.append(UInt8(ascii: index == 0 ? "{" : ","))
                Self.appendJSON(key, to: &bytes)
                bytes.append(UInt8(ascii: ":"))
                Self.appendJSON(value, to: &bytes)
            }
            bytes.append(UInt8(ascii: "}"))
            return bytes
        }
    }

    /// The wall clock, in UTC with milliseconds.
    static func now() -> String {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        var parts = unsafe tm()
        unsafe gmtime_r(&time.tv_sec, &parts)
        func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let milliseconds = String(1000 + time.tv_nsec / 1_000_000).dropFirst()
        let date = unsafe "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
        return
            unsafe "\(date)T\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)).\(milliseconds)Z"
    }

    private static func quotedIfNeeded(_ value: String) -> String {
        let isPlain =
            !value.isEmpty && value.utf8.allSatisfy { $0 > 0x20 && $0 != UInt8(ascii: "\"") && $0 != 0x7F }
        if isPlain { return value }
        var bytes: [UInt8] = []
        appendJSON(value, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Appends a JSON string; control characters are escaped, so a value cannot forge a line.
    static func appendJSON(_ value: String, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        for byte in value.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
            case 0x0A: bytes += Array("\\n".utf8)
            case 0..<0x20, 0x7F: bytes += Array("\\u00".utf8) + hexDigits(byte)
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private static func hexDigits(_ byte: UInt8) -> [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        return [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
    }
}
