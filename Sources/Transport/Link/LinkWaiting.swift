/// The requests of one link that wait for their answers, by number.
///
/// A number is a slot, which is used again, and which of the slot's 2^32 turns it is, so that an answer which comes too late
/// for one request is not taken for another's.
struct LinkWaiting {
    typealias Completion = (Result<LinkAnswer, LinkError>) -> Void
    /// A request that has ended, and whoever else wanted its answer.
    struct Ended {
        fileprivate let first: Completion
        fileprivate let others: [Completion]

        func complete(_ result: Result<LinkAnswer, LinkError>) {
            first(result)
            for other in others { other(result) }
        }
    }
    private struct Slot {
        var turn: UInt32
        var due: ContinuousClock.Instant
        /// Nil while the slot is free.
        var first: Completion?
        var others: [Completion] = []
    }
    private var slots: [Slot] = []
    private var free: [UInt32] = []

    var count: Int { slots.count - free.count }

    /// The number of the request, never 0.
    mutating func add(due: ContinuousClock.Instant, _ completion: @escaping Completion) -> UInt64 {
        guard let slot = free.popLast() else {
            slots.append(Slot(turn: 1, due: due, first: completion))
            return Self.number(slots.count - 1, turn: 1)
        }
        let index = Int(slot)
        slots[index].turn = max(1, slots[index].turn &+ 1)
        slots[index].due = due
        slots[index].first = completion
        return Self.number(index, turn: slots[index].turn)
    }

    /// Lets one more wait for an answer; false if nobody waits for it any more.
    mutating func join(_ number: UInt64, _ completion: @escaping Completion) -> Bool {
        guard let index = index(of: number) else { return false }
        slots[index].others.append(completion)
        return true
    }

    /// Takes out who waits for an answer; nil if nobody does any more.
    mutating func end(_ number: UInt64) -> Ended? {
        guard let index = index(of: number) else { return nil }
        return take(index)
    }

    /// Takes out all who have waited for too long.
    mutating func endLate(_ now: ContinuousClock.Instant) -> [Ended] {
        slots.indices.filter { slots[$0].due <= now }.compactMap { take($0) }
    }

    mutating func endAll() -> [Ended] { slots.indices.compactMap { take($0) } }

    /// When the first of those who wait has waited for too long.
    var firstDue: ContinuousClock.Instant? { slots.lazy.filter { $0.first != nil }.map(\.due).min() }

    private mutating func take(_ index: Int) -> Ended? {
        guard let first = slots[index].first.take() else { return nil }
        free.append(UInt32(index))
        guard !slots[index].others.isEmpty else { return Ended(first: first, others: []) }
        let others = slots[index].others
        slots[index].others = []
        return Ended(first: first, others: others)
    }

    private func index(of number: UInt64) -> Int? {
        let index = Int(truncatingIfNeeded: number & 0xFFFF_FFFF)
        guard index < slots.count, slots[index].first != nil, slots[index].turn == number >> 32 else {
            return nil
        }
        return index
    }

    private static func number(_ index: Int, turn: UInt32) -> UInt64 { UInt64(turn) << 32 | UInt64(index) }
}
