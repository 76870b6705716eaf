internal import CPrefetch

/// Notices that a venue began its ids anew (testnets are reset): newer events with older ids.
///
/// Several connections of one book may cut the same history at different places, so that one of them tells old ids later
/// than another told newer ones. That is no regression: only a connection whose own ids went down, or which does not reach
/// the book's, speaks for one.
struct RegressionWatch: Sendable {
    private struct Feed: Sendable {
        var number: Int
        /// Where the book stood when this connection was first heard, or when its ids went down.
        var bookID: Int64
        var lastID: Int64
        /// Whether its ids have reached the book's.
        var hasMet: Bool
    }
    /// Connections come and go; those that were not heard for longest are forgotten.
    private static let feedLimit = 8
    /// A new connection may lag so much behind one that has met the book before its old ids mean something.
    private static let lagMilliseconds: Int64 = 2000

    private var feeds: [Feed] = []
    private var newestTime: Int64 = 0
    private var count = 0
    private var since: ContinuousClock.Instant?

    /// An event that continues the chain was seen on connection `number`.
    mutating func sawProgress(_ number: Int, last: Int64, eventTime: Int64) {
        newestTime = max(newestTime, eventTime)
        count = 0
        since = nil
        let index = index(of: number, bookID: last)
        feeds[index].lastID = last
        feeds[index].hasMet = true
    }

    /// An event with only old ids was seen on connection `number`; true if the venue has regressed.
    mutating func sawOldIDs(
        _ number: Int, last: Int64, eventTime: Int64, bookID: Int64, at now: ContinuousClock.Instant
    ) -> Bool {
        let isKnown = feeds.contains { $0.number == number }
        let index = index(of: number, bookID: bookID)
        let wentDown = isKnown && last <= feeds[index].lastID
        feeds[index].lastID = last
        if !wentDown, !feeds[index].hasMet, last >= feeds[index].bookID {
            feeds[index].hasMet = true
            count = 0
            since = nil
        }
        let patience =
            !wentDown && feeds.contains { $0.number != number && $0.hasMet } ? Self.lagMilliseconds : 0
        if newestTime != 0, eventTime > newestTime + patience, wentDown || !feeds[index].hasMet {
            feeds[index].hasMet = false
            if wentDown { feeds[index].bookID = bookID }
            count += 1
            if since == nil { since = now }
        }
        return count >= 3 || isOverdue(now)
    }

    /// Whether regressing events were seen and nothing has followed for 2 s.
    func isOverdue(_ now: ContinuousClock.Instant) -> Bool {
        since.map { now - $0 >= .seconds(2) } ?? false
    }

    /// Asks for the memory that the next event will touch.
    func prefetch() {
        unsafe feeds.withUnsafeBytes { if let first = $0.baseAddress { unsafe cprefetch_line(first) } }
    }

    private mutating func index(of number: Int, bookID: Int64) -> Int {
        for index in feeds.indices where feeds[index].number == number { return index }
        if feeds.count >= Self.feedLimit { feeds.removeFirst() }
        feeds.append(Feed(number: number, bookID: bookID, lastID: bookID, hasMet: false))
        return feeds.count - 1
    }
}
