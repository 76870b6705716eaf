/// Tells whether first copies come one after the other, so that depth should leave the weight to those still to come; pure.
struct FirstCopyRush: Sendable {
    /// So long after the last first copy was asked for another one may follow.
    static let gap: Duration = .seconds(2)
    /// Books that resync without end must not keep all others from their depth.
    static let longest: Duration = .seconds(15)

    private var began: Duration?
    private var last: Duration = .zero

    /// A first copy was asked for.
    mutating func note(now: Duration) {
        if began == nil || now - last >= Self.gap { began = now }
        last = now
    }

    func isOn(now: Duration) -> Bool {
        guard let began else { return false }
        return now - last < Self.gap && now - began < Self.longest
    }
}
