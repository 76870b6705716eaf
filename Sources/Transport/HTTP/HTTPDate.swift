internal import Glibc

/// A time as HTTP writes it: `Sat, 21 Nov 2026 07:24:27 GMT`.
package enum HTTPDate {
    private static let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// `seconds` since 1970.
    package static func text(seconds: Int64) -> String {
        var seconds = time_t(seconds)
        var parts = unsafe tm()
        unsafe gmtime_r(&seconds, &parts)
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let clock = unsafe "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))"
        let (weekday, month) = unsafe (days[Int(parts.tm_wday)], months[Int(parts.tm_mon)])
        return unsafe "\(weekday), \(two(parts.tm_mday)) \(month) \(1900 + parts.tm_year) \(clock) GMT"
    }
}

/// The header `date` of answers, written anew once a second; bound to its server's loop.
struct HTTPDateLine {
    private var second: Int64 = -1
    private var bytes: [UInt8] = []

    /// The header as of now, with the end of its line.
    var line: [UInt8] {
        mutating get {
            var now = timespec()
            unsafe clock_gettime(CLOCK_REALTIME_COARSE, &now)
            if Int64(now.tv_sec) != second {
                second = Int64(now.tv_sec)
                bytes = Array("date: \(HTTPDate.text(seconds: second))\r\n".utf8)
            }
            return bytes
        }
    }
}
