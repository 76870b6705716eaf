import FoundationEssentials
import TestSupport
import Testing

@testable import Books

/// The synchroniser against a model that knows everything, over random histories of all families.
struct ModelCheckTests {
    static let families = [
        WorldModel.Family(name: "spot", rule: .contiguous),
        WorldModel.Family(name: "spot testnet", rule: .contiguous, mayReset: true),
        WorldModel.Family(name: "US", rule: .contiguous), WorldModel.Family(name: "TR", rule: .contiguous),
        WorldModel.Family(name: "USD-M", rule: .linked),
        WorldModel.Family(name: "USD-M testnet", rule: .linked, mayReset: true),
        WorldModel.Family(name: "COIN-M", rule: .linked),
        WorldModel.Family(name: "options", rule: .linked, lag: 12),
    ]
    /// `FATHOM_MODEL_HISTORIES` sets another number: more for a soak, fewer for a first look.
    static let histories =
        ProcessInfo.processInfo.environment["FATHOM_MODEL_HISTORIES"].flatMap(Int.init) ?? 40
    static let stepsPerHistory = 3200

    @Test(arguments: families)
    func `a readable book is the truth at its id, and it always comes back`(family: WorldModel.Family) {
        var (steps, reads, merges) = (0, 0, 0)
        for seed in 0..<Self.histories {
            let world = WorldModel(family, seed: UInt64(seed))
            while world.counts.steps < Self.stepsPerHistory, world.faults.isEmpty {
                world.step()
                world.check()
                if world.counts.steps % 800 == 0 { world.settle() }
            }
            #expect(world.faults.isEmpty, "seed \(seed)")
            guard world.faults.isEmpty else { return }
            steps += world.counts.steps
            reads += world.counts.reads
            merges += world.counts.merges
        }
        #expect(steps == Self.histories * Self.stepsPerHistory)
        // The book was mostly there to be looked at, and copies did meet it.
        #expect(reads > steps / 3)
        #expect(merges > Self.histories)
    }

    @Test func `the suite takes a million steps at least`() {
        #expect(Self.families.count * 40 * Self.stepsPerHistory >= 1_000_000)
    }
}
