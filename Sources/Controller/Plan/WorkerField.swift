/// The live workers in the order zone, node, name, with the least loaded of any stretch of them at hand.
///
/// A tournament tree: a changed load costs the way to the root, and so does the question for the best of a stretch. Pure.
struct WorkerField: Sendable {
    /// What makes one worker better than another: its load, then its place in the alphabet.
    struct Key: Comparable, Sendable {
        var load: Int
        var rank: Int32

        static func < (left: Key, right: Key) -> Bool {
            left.load != right.load ? left.load < right.load : left.rank < right.rank
        }
    }

    /// A stretch of positions with the same zone, or the same zone and node.
    struct Stretch: Sendable {
        var start: Int
        var end: Int
    }

    /// The worker (by its number in the planner) at each position, and back.
    private(set) var order: [Int] = []
    private var positions: [Int: Int] = [:]
    private var zoneAt: [Int] = []
    private var nodeAt: [Int] = []
    private(set) var zones: [Stretch] = []
    private(set) var nodes: [Stretch] = []
    private var ranks: [Int32] = []
    /// Leaves from `base` on; nil: not to be chosen.
    private var base = 1
    private var tree: [Key?] = [nil, nil]
    private var byRank: [Int] = []

    init() {}

    /// A field of these workers; none may be chosen before `set` says so.
    ///
    /// Sorts them all, so it is for when one comes, goes or changes its place, and not for a changed load or standing.
    /// It begins with the orders of `previous`, since what is nearly sorted is sorted with few comparisons.
    init(
        _ workers: [(number: Int, zone: String, node: String, name: String, uid: String)],
        after previous: WorkerField
    ) {
        let places = Dictionary(workers.indices.map { (workers[$0].number, $0) }) { first, _ in first }
        let new = workers.filter { previous.positions[$0.number] == nil }
        let sorted = (previous.order.compactMap { places[$0] }.map { workers[$0] } + new).sorted {
            ($0.zone, $0.node, $0.name, $0.uid) < ($1.zone, $1.node, $1.name, $1.uid)
        }
        let place = Dictionary(sorted.indices.map { (sorted[$0].number, $0) }) { first, _ in first }
        let named = previous.byRank.map { previous.order[$0] } + new.map(\.number)
        let alphabet = named.compactMap { place[$0] }.sorted {
            (sorted[$0].name, sorted[$0].uid) < (sorted[$1].name, sorted[$1].uid)
        }
        ranks = [Int32](repeating: 0, count: sorted.count)
        byRank = alphabet
        for (rank, position) in alphabet.enumerated() { ranks[position] = Int32(rank) }
        for (position, worker) in sorted.enumerated() {
            order.append(worker.number)
            positions[worker.number] = position
            let before = position > 0 ? sorted[position - 1] : nil
            if before?.zone != worker.zone { zones.append(Stretch(start: position, end: position)) }
            if before?.zone != worker.zone || before?.node != worker.node {
                nodes.append(Stretch(start: position, end: position))
            }
            zones[zones.count - 1].end = position + 1
            nodes[nodes.count - 1].end = position + 1
            zoneAt.append(zones.count - 1)
            nodeAt.append(nodes.count - 1)
        }
        while base < sorted.count { base *= 2 }
        tree = [Key?](repeating: nil, count: base * 2)
    }

    func zone(of worker: Int) -> Int? { positions[worker].map { zoneAt[$0] } }
    func node(of worker: Int) -> Int? { positions[worker].map { nodeAt[$0] } }
    func rank(of worker: Int) -> Int32 { positions[worker].map { ranks[$0] } ?? .max }

    /// The workers of a zone that may be chosen.
    func candidates(zone: Int) -> [Int] {
        (zones[zone].start..<zones[zone].end).filter { tree[base + $0] != nil }.map { order[$0] }
    }

    /// Tells a worker's load; nil: it is not to be chosen.
    mutating func set(_ worker: Int, load: Int?) {
        guard let position = positions[worker] else { return }
        var node = base + position
        tree[node] = load.map { Key(load: $0, rank: ranks[position]) }
        while node > 1 {
            node /= 2
            tree[node] = Self.better(tree[node * 2], tree[node * 2 + 1])
        }
    }

    private static func better(_ left: Key?, _ right: Key?) -> Key? {
        guard let left else { return right }
        guard let right else { return left }
        return right < left ? right : left
    }

    private func best(_ start: Int, _ end: Int) -> Key? {
        guard start < end else { return nil }
        var (low, high) = (start + base, end + base)
        var found: Key?
        while low < high {
            if low & 1 == 1 {
                found = Self.better(found, tree[low])
                low += 1
            }
            if high & 1 == 1 {
                high -= 1
                found = Self.better(found, tree[high])
            }
            (low, high) = (low / 2, high / 2)
        }
        return found
    }

    /// A choice, and how many copies the cache has in its zone and on its node already.
    struct Choice: Sendable {
        var worker: Int
        var inZone: Int
        var onNode: Int
    }

    /// The worker for one more copy: in the zone with the fewest copies, there on the node with the fewest, there the least loaded.
    ///
    /// `taken` have one already, or may not get one; only those in `counted` crowd their zone and node.
    func choose(taken: [Int], counted: [Int]) -> Choice? {
        guard !taken.isEmpty else {
            return tree[1].map { Choice(worker: worker($0), inZone: 0, onNode: 0) }
        }
        let places = Set(taken.compactMap { positions[$0] }).sorted()
        let crowd = counted.compactMap { positions[$0] }
        var result: (inZone: Int, onNode: Int, key: Key)?
        func consider(_ start: Int, _ end: Int, _ inZone: Int, _ onNode: Int) {
            guard let key = best(start, end) else { return }
            if let known = result,
                (known.inZone, known.onNode) < (inZone, onNode)
                    || (known.inZone, known.onNode) == (inZone, onNode) && known.key < key
            {
                return
            }
            result = (inZone, onNode, key)
        }
        var done = 0
        var index = 0
        while index < places.count {
            let zone = zoneAt[places[index]]
            consider(done, zones[zone].start, 0, 0)
            let inZone = crowd.count { zoneAt[$0] == zone }
            done = zones[zone].start
            while index < places.count, zoneAt[places[index]] == zone {
                let node = nodeAt[places[index]]
                consider(done, nodes[node].start, inZone, 0)
                let onNode = crowd.count { nodeAt[$0] == node }
                done = nodes[node].start
                while index < places.count, nodeAt[places[index]] == node {
                    consider(done, places[index], inZone, onNode)
                    done = places[index] + 1
                    index += 1
                }
                consider(done, nodes[node].end, inZone, onNode)
                done = nodes[node].end
            }
            consider(done, zones[zone].end, inZone, 0)
            done = zones[zone].end
        }
        consider(done, order.count, 0, 0)
        return result.map { Choice(worker: worker($0.key), inZone: $0.inZone, onNode: $0.onNode) }
    }

    private func worker(_ key: Key) -> Int { order[byRank[Int(key.rank)]] }
}
