/// Which changed DepthCaches are looked at now, and which new ones when the swarm that they came in is over; pure.
///
/// Thousands may be created by one call. Were each placed as it comes, workers would start its books beside the rest of the call, and the caller, whose
/// client has a time limit, would wait several times as long. What is known already never waits, neither do caches that come in ones and twos.
struct ArrivalGate: Sendable {
    /// Arrivals are counted over so long, and the last of a swarm wait for as long; a shorter pause of who creates them is no end.
    static let window: Duration = .milliseconds(250)
    /// So many in one window are a swarm: more than `kubectl apply` sends, far less than one call of the gateway.
    static let swarm = 50
    /// Nobody waits longer, however many come.
    static let longest: Duration = .seconds(10)

    private var known: Set<String> = []
    private var waiting: Set<String> = []
    private var windowBegan: ContinuousClock.Instant?
    private var arrived = 0
    private var isSwarm = false
    private var heldSince: ContinuousClock.Instant?

    /// Whether caches wait; then it has to be asked again soon.
    var isHolding: Bool { !waiting.isEmpty }

    /// All caches have been read anew: none waits.
    mutating func takeAll(_ names: Set<String>) {
        known = names
        waiting = []
        heldSince = nil
    }

    /// Tells which caches to look at now, by name.
    ///
    /// - Parameters:
    ///   - changed: whether each that something happened to since the last time is still there.
    ///   - now: never earlier than before.
    /// - Returns: all of `changed` but new ones of a swarm, and at its end these too.
    mutating func release(_ changed: [String: Bool], at now: ContinuousClock.Instant) -> Set<String> {
        var released: Set<String> = []
        for (name, exists) in changed {
            if !exists {
                known.remove(name)
                waiting.remove(name)
                released.insert(name)
            } else if known.contains(name) {
                released.insert(name)
            } else if waiting.insert(name).inserted {
                arrived += 1
            }
        }
        judge(at: now)
        guard !isHolding(at: now) else { return released }
        known.formUnion(waiting)
        released.formUnion(waiting)
        waiting = []
        return released
    }

    /// A swarm begins as soon as enough have come, and ends after a window in which too few came.
    private mutating func judge(at now: ContinuousClock.Instant) {
        let began = windowBegan ?? now
        windowBegan = began
        let windows = began.duration(to: now) / Self.window
        if arrived >= Self.swarm, windows < 1 { isSwarm = true }
        guard windows >= 1 else { return }
        isSwarm = Double(arrived) >= Double(Self.swarm) * windows
        arrived = 0
        windowBegan = now
    }

    private mutating func isHolding(at now: ContinuousClock.Instant) -> Bool {
        guard isSwarm, !waiting.isEmpty else {
            heldSince = nil
            return false
        }
        let since = heldSince ?? now
        heldSince = since
        guard since.duration(to: now) >= Self.longest else { return true }
        heldSince = nil
        return false
    }
}
