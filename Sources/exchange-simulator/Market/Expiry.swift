/// When option contracts end: at 08:00 UTC of the day in their name, `BTC-261122-60000-C`.
enum Expiry {
    /// Milliseconds since 1970; nil for symbols that name no day.
    static func milliseconds(of symbol: String) -> Int64? {
        day(of: symbol).map { $0 * 86_400_000 + 8 * 3_600_000 }
    }

    /// The same contract of the next day.
    static func successor(of symbol: String) -> String? {
        guard let day = day(of: symbol) else { return nil }
        var parts = symbol.split(separator: "-").map(String.init)
        parts[1] = text(day + 1)
        return parts.joined(separator: "-")
    }

    private static func day(of symbol: String) -> Int64? {
        let parts = symbol.split(separator: "-")
        guard parts.count == 4, parts[1].count == 6, let date = Int64(parts[1]), date >= 0 else { return nil }
        return days(2000 + date / 10_000, date / 100 % 100, date % 100)
    }

    /// Days since 1970 of a day of the Gregorian calendar, counted in years that begin in March.
    private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let shifted = month > 2 ? year : year - 1
        let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
        return 365 * shifted + shifted / 4 - shifted / 100 + shifted / 400 + dayOfYear - 719_468
    }

    private static func text(_ day: Int64) -> String {
        var year = 1970 + day / 366
        while days(year + 1, 1, 1) <= day { year += 1 }
        var month: Int64 = 1
        while month < 12, days(year, month + 1, 1) <= day { month += 1 }
        let number = (year % 100) * 10_000 + month * 100 + (day - days(year, month, 1) + 1)
        let digits = String(number)
        return String(repeating: "0", count: max(0, 6 - digits.count)) + digits
    }
}
