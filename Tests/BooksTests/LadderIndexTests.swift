import TestSupport
import Testing

@testable import Books

/// The ladder alone, against a dictionary: after every change its index is true and a search by it finds what a look at
/// all keys finds.
struct LadderIndexTests {
    private struct Level: Equatable {
        let quantity: Int64
        let scales: UInt16
    }
    private typealias Levels = [Int64: Level]

    private static func check(_ ladder: borrowing Ladder, _ levels: Levels, _ note: String) {
        let (isIndexed, count) = (ladder.isIndexed, ladder.count)
        #expect(isIndexed, "\(note)")
        #expect(count == levels.count, "\(note)")
        var found: Levels = [:]
        var slot = ladder.liveSlot(below: ladder.slots)
        while slot >= 0 {
            found[ladder.key(at: slot)] = Level(
                quantity: ladder.quantity(at: slot), scales: ladder.scales(at: slot))
            slot = ladder.liveSlot(below: slot)
        }
        #expect(found == levels, "\(note)")
    }

    private static func checkSearches(
        _ ladder: borrowing Ladder, _ keys: (Int64, Int64, Int64, Int64), _ note: String
    ) {
        let lines = ladder.lines(of: keys.0, keys.1, keys.2, keys.3)
        for (key, line) in [(keys.0, lines.0), (keys.1, lines.1), (keys.2, lines.2), (keys.3, lines.3)] {
            var expected = 0
            while expected < ladder.slots, ladder.key(at: expected) < key { expected += 1 }
            let found = ladder.slot(of: key, inLine: line)
            #expect(found == expected, "\(note), key \(key)")
        }
    }

    /// Around whole lines of keys and whole words of gaps: levels come and go, room grows, the worst are dropped, keys
    /// get another scale.
    @Test(arguments: [0, 1, 7, 8, 9, 15, 16, 17, 63, 64, 65, 127, 128, 129, 600], [false, true])
    func `the index follows every change`(size: Int, isNegative: Bool) {
        var random = SplitMix64(seed: UInt64(size))
        let sign: Int64 = isNegative ? -1 : 1
        var ladder = Ladder(capacity: size)
        var levels: Levels = [:]
        var unit: Int64 = 1
        func randomKey() -> Int64 { sign * unit * .random(in: 1...Int64(size * 2 + 20), using: &random) }
        for step in 0..<600 {
            let note = "size \(size), step \(step)"
            // Levels gather to the size, and then some are taken away as often as others come.
            for _ in 0..<(levels.count < size ? 8 : 2) {
                let key = randomKey()
                let isGone = levels.count >= size && Bool.random(using: &random)
                let scales: UInt16 = step % 100 < 50 ? 0x0802 : .random(in: 0...3, using: &random)
                let level = Level(
                    quantity: isGone ? 0 : .random(in: 1...9, using: &random), scales: scales)
                levels[key] = isGone ? nil : level
                ladder.set(
                    key: key, quantity: level.quantity, scales: scales,
                    near: .random(in: -1...ladder.slots + 1, using: &random))
                let isIndexed = ladder.isIndexed
                #expect(isIndexed, "\(note)")
            }
            Self.checkSearches(ladder, (randomKey(), randomKey(), randomKey(), randomKey()), note)
            switch Int.random(in: 0..<80, using: &random) {
            case 0: ladder.reserve(ladder.capacity + .random(in: 1...70, using: &random))
            case 1:
                let dropped = Int.random(in: 0...levels.count / 2, using: &random)
                for key in levels.keys.sorted().prefix(dropped) { levels[key] = nil }
                ladder.removeWorst(dropped)
            case 2 where unit < 1_000_000:
                unit *= 10
                levels = Dictionary(uniqueKeysWithValues: levels.map { ($0.key * 10, $0.value) })
                let fits = ladder.multiplyKeys(by: 10)
                #expect(fits)
            case 3 where step % 4 == 0:
                levels = [:]
                ladder.removeAll(expecting: .random(in: 0...size, using: &random))
            default: break
            }
            Self.check(ladder, levels, note)
        }
    }

    @Test func `a ladder whose keys do not fit another scale stays as it is`() {
        var ladder = Ladder()
        for key in [1, 2, Int64.max / 5] {
            ladder.set(key: key, quantity: 1, scales: 0, near: ladder.slots)
        }
        let fits = ladder.multiplyKeys(by: 10)
        #expect(!fits)
        let level = Level(quantity: 1, scales: 0)
        Self.check(ladder, [1: level, 2: level, Int64.max / 5: level], "unchanged")
    }

    /// Levels that were all sent alike need no scales of their own until one comes that was not.
    @Test func `levels keep the scales they were sent with`() {
        var ladder = Ladder()
        var levels: Levels = [:]
        func set(_ key: Int64, _ quantity: Int64, _ scales: UInt16) {
            ladder.set(key: key, quantity: quantity, scales: scales, near: ladder.slots)
            levels[key] = quantity == 0 ? nil : Level(quantity: quantity, scales: scales)
        }
        for key in 1...20 { set(Int64(key), 1, 7) }
        Self.check(ladder, levels, "all alike")
        set(5, 0, 3)
        Self.check(ladder, levels, "one is gone, whatever the scales of its nothing")
        set(9, 2, 4)
        Self.check(ladder, levels, "one changed with other scales")
        set(5, 1, 5)
        Self.check(ladder, levels, "one came back with others again")
        set(30, 1, 6)
        Self.check(ladder, levels, "a new best one")
        ladder.removeAll()
        levels = [:]
        set(1, 1, 2)
        set(2, 1, 2)
        Self.check(ladder, levels, "begun anew")
    }
}
