import Testing

@testable import Controller

/// Looks every 20 ms at a gate, as the controller does.
private struct Gatekeeper {
    var gate = ArrivalGate()
    private(set) var elapsed = 0
    private let began = ContinuousClock.now
    private var names = 0

    /// So many new caches come, then 20 ms later it is looked at them; returns how many may be placed.
    mutating func look(arrived: Int, changed: [String: Bool] = [:], after milliseconds: Int = 20) -> Set<
        String
    > {
        elapsed += milliseconds
        var changed = changed
        for _ in 0..<arrived {
            names += 1
            changed["cache-\(names)"] = true
        }
        return gate.release(changed, at: began + .milliseconds(elapsed))
    }
}

@Suite struct ArrivalGateTests {
    @Test func `caches that come in ones and twos never wait`() {
        var keeper = Gatekeeper()
        for _ in 0..<200 {
            #expect(keeper.look(arrived: 2).count == 2)
            #expect(!keeper.gate.isHolding)
        }
    }

    @Test func `a swarm waits for its end, and all of it comes then`() {
        var keeper = Gatekeeper()
        var placed = 0
        for _ in 0..<100 { placed += keeper.look(arrived: 10).count }
        #expect(placed <= 2 * ArrivalGate.swarm, "only what came before it was seen to be a swarm")
        #expect(keeper.gate.isHolding)
        var looks = 0
        while keeper.gate.isHolding, looks < 100 {
            placed += keeper.look(arrived: 0).count
            looks += 1
        }
        #expect(placed == 1000)
        #expect(looks * 20 <= 500, "the last wait for two windows at most")
        #expect(keeper.look(arrived: 1).count == 1, "and it is calm again")
    }

    @Test func `a swarm that was not looked at for a second is one too`() {
        var keeper = Gatekeeper()
        #expect(keeper.look(arrived: 1).count == 1)
        #expect(keeper.look(arrived: 1000, after: 1000).isEmpty)
        #expect(keeper.look(arrived: 0, after: 250).count == 1000)
        #expect(keeper.look(arrived: 100, after: 1000).count == 100, "a hundred in a second are none")
    }

    @Test func `what is known never waits`() {
        var keeper = Gatekeeper()
        keeper.gate.takeAll(["old", "gone"])
        for _ in 0..<20 { _ = keeper.look(arrived: 30) }
        #expect(keeper.gate.isHolding)
        #expect(keeper.look(arrived: 30, changed: ["old": true, "gone": false]) == ["old", "gone"])
    }

    @Test func `one that goes while it waits is told as gone and does not come back`() {
        var keeper = Gatekeeper()
        for _ in 0..<20 { _ = keeper.look(arrived: 30) }
        _ = keeper.look(arrived: 30, changed: ["short-lived": true])
        #expect(keeper.look(arrived: 30, changed: ["short-lived": false]) == ["short-lived"])
        var rest: Set<String> = []
        while keeper.gate.isHolding, keeper.elapsed < 60_000 { rest.formUnion(keeper.look(arrived: 0)) }
        #expect(!rest.isEmpty && !rest.contains("short-lived"))
    }

    @Test func `nobody waits for longer than ten seconds, however many come`() {
        var keeper = Gatekeeper()
        for _ in 0..<20 { _ = keeper.look(arrived: 30) }
        let since = keeper.elapsed
        var released = keeper.look(arrived: 30, changed: ["first": true])
        while !released.contains("first"), keeper.elapsed < 60_000 { released = keeper.look(arrived: 30) }
        #expect(keeper.elapsed - since <= 10_300)
        #expect(keeper.elapsed - since >= 9_500, "the swarm did hold it")
        #expect(keeper.look(arrived: 30).isEmpty, "those that come now are a swarm still")
    }

    @Test func `nothing waits that a whole list has shown`() {
        var keeper = Gatekeeper()
        for _ in 0..<20 { _ = keeper.look(arrived: 30) }
        keeper.gate.takeAll(["all", "that", "exist"])
        #expect(!keeper.gate.isHolding)
        #expect(keeper.look(arrived: 0, changed: ["that": true]) == ["that"])
    }
}
