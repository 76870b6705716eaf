import Books

/// Notices a feed whose events are old, or from the future, by the exchange's own clock; pure.
struct LatenessWatch: Sendable {
    /// So many milliseconds are more than any network or queue explains.
    static let limit: Int64 = 5000
    /// So many events in a row say that it is so, or is over.
    static let needed = 3

    /// What the book suffers from now.
    private(set) var fault: OutOfSyncReason?
    /// How late the last event was, in milliseconds.
    private(set) var lateness: Int64 = 0
    private var candidate: OutOfSyncReason?
    private var count = 0

    /// Takes the lateness of an event; true if `fault` has changed.
    mutating func saw(_ lateness: Int64) -> Bool {
        self.lateness = lateness
        let seen: OutOfSyncReason? =
            lateness > Self.limit ? .feedLate : lateness < -Self.limit ? .clockSkew : nil
        guard seen != fault else {
            count = 0
            return false
        }
        count = seen == candidate ? count + 1 : 1
        candidate = seen
        guard count >= Self.needed else { return false }
        fault = seen
        count = 0
        return true
    }
}
