/// How long an informer waits after a failure; pure.
///
/// A watch that has lived says that the API is well, whatever was before. An expired version (410) is no fault of the API: the
/// first is followed by a list at once, those that come without a watch having lived in between wait like all failures.
struct WatchPatience: Sendable {
    /// A watch that was open for so long has lived.
    static let life: Duration = .seconds(1)

    private var backoff: Backoff
    private var hasExpired = false

    init(_ backoff: Backoff) { self.backoff = backoff }

    /// Failures since something went well.
    var failures: Int { backoff.failures }

    /// A list succeeded, or a watch that had lived ended in order.
    mutating func wentWell(hadLived: Bool) {
        backoff.reset()
        if hadLived { hasExpired = false }
    }

    /// The wait before the next try after a server closed a watch at once.
    mutating func closedAtOnce() -> Duration { backoff.next() }

    /// The wait after a failure with the API's `code`; nil: none.
    mutating func failed(code: Int, hadLived: Bool, retryAfter: Duration) -> Duration? {
        if hadLived {
            backoff.reset()
            hasExpired = false
        }
        if code == 410, !hasExpired {
            hasExpired = true
            return nil
        }
        return max(backoff.next(), retryAfter)
    }
}
