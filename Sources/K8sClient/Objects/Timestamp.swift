import FoundationEssentials

/// A point of wall-clock time as Kubernetes writes it (`metav1.Time`): RFC 3339, whole seconds.
package struct Timestamp: Codable, Hashable, Comparable, Sendable, CustomStringConvertible {
    package var secondsSinceEpoch: Int64

    package init(secondsSinceEpoch: Int64) { self.secondsSinceEpoch = secondsSinceEpoch }

    package static var now: Timestamp { Timestamp(secondsSinceEpoch: MicroTimestamp.now.secondsSinceEpoch) }

    /// Nil unless it is an RFC 3339 time.
    package init?(_ text: String) {
        guard let micros = RFC3339.microseconds(text) else { return nil }
        secondsSinceEpoch = MicroTimestamp(microsecondsSinceEpoch: micros).secondsSinceEpoch
    }

    package init(from decoder: any Decoder) throws {
        secondsSinceEpoch = try MicroTimestamp(from: decoder).secondsSinceEpoch
    }

    package func encode(to encoder: any Encoder) throws { try description.encode(to: encoder) }

    package static func < (one: Self, other: Self) -> Bool { one.secondsSinceEpoch < other.secondsSinceEpoch }

    package var description: String { RFC3339.text(seconds: secondsSinceEpoch) + "Z" }
}

/// A point of wall-clock time with microseconds (`metav1.MicroTime`), as Leases and Events have it.
package struct MicroTimestamp: Codable, Hashable, Comparable, Sendable, CustomStringConvertible {
    package var microsecondsSinceEpoch: Int64

    package init(microsecondsSinceEpoch: Int64) { self.microsecondsSinceEpoch = microsecondsSinceEpoch }

    package var secondsSinceEpoch: Int64 {
        microsecondsSinceEpoch >= 0
            ? microsecondsSinceEpoch / 1_000_000 : (microsecondsSinceEpoch - 999_999) / 1_000_000
    }

    package static var now: MicroTimestamp {
        MicroTimestamp(microsecondsSinceEpoch: Int64((Date.now.timeIntervalSince1970 * 1_000_000).rounded()))
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let value = RFC3339.microseconds(text) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "expected an RFC 3339 time, was \"\(text)\"")
        }
        microsecondsSinceEpoch = value
    }

    package func encode(to encoder: any Encoder) throws { try description.encode(to: encoder) }

    package static func < (one: Self, other: Self) -> Bool {
        one.microsecondsSinceEpoch < other.microsecondsSinceEpoch
    }

    package var description: String {
        let micros = String(microsecondsSinceEpoch - secondsSinceEpoch * 1_000_000)
        return RFC3339.text(seconds: secondsSinceEpoch) + "."
            + String(repeating: "0", count: 6 - micros.count)
            + micros + "Z"
    }
}

/// The one text form of time in the Kubernetes API.
enum RFC3339 {
    /// `2026-11-21T05:06:07`, for UTC; days by Howard Hinnant's `civil_from_days`.
    static func text(seconds: Int64) -> String {
        let days = seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400
        let rest = seconds - days * 86_400
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        func padded(_ value: Int64, _ width: Int) -> String {
            let digits = String(value)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        return padded(year, 4) + "-" + padded(month, 2) + "-" + padded(day, 2) + "T" + padded(rest / 3_600, 2)
            + ":" + padded(rest / 60 % 60, 2) + ":" + padded(rest % 60, 2)
    }

    /// Microseconds since 1970; fractions of any length, `Z` or an offset.
    static func microseconds(_ text: String) -> Int64? {
        let bytes = Array(text.utf8)
        func number(_ from: Int, _ count: Int) -> Int64? {
            guard from + count <= bytes.count else { return nil }
            var value: Int64 = 0
            for byte in bytes[from..<from + count] {
                guard byte >= 0x30, byte <= 0x39 else { return nil }
                value = value * 10 + Int64(byte - 0x30)
            }
            return value
        }
        guard bytes.count >= 20, bytes[4] == 0x2D, bytes[7] == 0x2D, bytes[10] | 0x20 == 0x74,
            bytes[13] == 0x3A,
            bytes[16] == 0x3A, let year = number(0, 4), let month = number(5, 2), let day = number(8, 2),
            let hour = number(11, 2), let minute = number(14, 2), let second = number(17, 2),
            (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second < 61
        else { return nil }
        var at = 19
        var micros: Int64 = 0
        if bytes[at] == 0x2E {
            at += 1
            var scale: Int64 = 100_000
            while at < bytes.count, bytes[at] >= 0x30, bytes[at] <= 0x39 {
                micros += Int64(bytes[at] - 0x30) * scale
                scale /= 10
                at += 1
            }
        }
        var offset: Int64 = 0
        if at + 1 == bytes.count, bytes[at] | 0x20 == 0x7A {
            offset = 0
        } else if at + 6 == bytes.count, bytes[at] == 0x2B || bytes[at] == 0x2D,
            let hours = number(at + 1, 2),
            let minutes = number(at + 4, 2)
        {
            offset = (hours * 3_600 + minutes * 60) * (bytes[at] == 0x2D ? -1 : 1)
        } else {
            return nil
        }
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = shiftedYear / 400
        let yearOfEra = shiftedYear - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let days = era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
        return (days * 86_400 + hour * 3_600 + minute * 60 + second - offset) * 1_000_000 + micros
    }
}
