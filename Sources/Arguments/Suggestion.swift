/// Finds what somebody may have meant.
enum Suggestion {
    /// The nearest of `known`, if it is near: few letters differ, or only case and separators do.
    static func nearest(to word: String, among known: [String]) -> String? {
        let wanted = bare(word)
        let ranked = known.map { (distance(wanted, bare($0)), $0) }.sorted { $0 < $1 }
        guard let (distance, name) = ranked.first, distance <= max(1, min(3, wanted.count / 3)) else {
            return nil
        }
        return name
    }

    /// The variable that `name` is most likely a slip of: at most one letter in three differs.
    static func slip(_ name: String, among known: [String]) -> String? {
        func own(_ variable: String) -> [Character] { bare(String(variable.dropFirst("FATHOM_".count))) }
        let wanted = own(name)
        let ranked = known.map { (distance(wanted, own($0)), $0) }.sorted { $0 < $1 }
        guard let (distance, near) = ranked.first, distance <= 2, distance * 3 <= wanted.count else {
            return nil
        }
        return near
    }

    /// Letters and digits alone: `log-level`, `logLevel` and `LOG_LEVEL` are one word.
    private static func bare(_ word: String) -> [Character] {
        word.lowercased().filter { $0.isLetter || $0.isNumber }.map(\.self)
    }

    /// How many letters must be put in, left out, changed or swapped with their neighbours.
    static func distance(_ a: [Character], _ b: [Character]) -> Int {
        var rows = [Array(0...b.count)]
        for i in a.indices {
            var row = [i + 1]
            for j in b.indices {
                var best = min(row[j] + 1, rows[i][j + 1] + 1, rows[i][j] + (a[i] == b[j] ? 0 : 1))
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] {
                    best = min(best, rows[i - 1][j - 1] + 1)
                }
                row.append(best)
            }
            rows.append(row)
        }
        return rows.last?.last ?? b.count
    }
}
