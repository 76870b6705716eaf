/// The levels of one side in contiguous arrays, ascending by key, the best level at the end.
///
/// A level that is taken away leaves its slot behind with quantity zero: the next price nearby moves in, so that
/// few levels have to be moved. Where there is none nearby, several slots are opened at once: prices come in crowds.
/// The last slot is never such a gap, and gaps are closed when they are too many. A gap has the key of a level that
/// was there or of the level below it, so keys never fall, and of equal ones only the first can hold a level.
///
/// A key is the price for bids and the negated price for asks, all at one scale, so one direction serves both sides.
/// Prices, quantities and sent scales lie in three runs of one allocation that grows by a quarter: 19 bytes a level with
/// the index of prices, and a bit, which is set for a gap.
/// Safe because: the memory is owned by this value alone, and every index is checked against `count` or `capacity`.
@safe package struct Ladder: ~Copyable, @unchecked Sendable {
    private(set) var keys: IndexedKeys
    private(set) var quantities: UnsafeMutablePointer<Int64>
    /// The sent scales of each slot, if not all are `sharedScales`.
    private var scales: UnsafeMutablePointer<UInt16>
    /// The sent scales of all levels, or `differing`: mostly there is but one pair, and then `scales` is left alone.
    private var sharedScales: UInt32 = 0
    private static let differing = UInt32.max
    /// One bit for every slot: whether it is a gap.
    ///
    /// There is one more word, always zero, at either end.
    private(set) var gaps: UnsafeMutablePointer<UInt64>
    package private(set) var count = 0
    /// How many slots are in use, gaps included.
    package private(set) var slots = 0
    package private(set) var capacity: Int
    package init(capacity: Int = 0) {
        self.capacity = Self.room(capacity)
        unsafe (keys, quantities, scales, gaps) = Self.allocate(self.capacity)
    }

    deinit { unsafe UnsafeMutableRawPointer(mutating: keys.address(0)).deallocate() }

    /// The slots for `wanted` levels: whole lines of keys.
    private static func room(_ wanted: Int) -> Int { (max(wanted, 16) + 7) & ~7 }

    private static func words(_ capacity: Int) -> Int { (capacity + 63) / 64 }

    private static func byteCount(_ capacity: Int) -> Int { capacity * 19 + (words(capacity) + 2) * 8 }

    private static func allocate(
        _ capacity: Int
    ) -> (
        IndexedKeys, UnsafeMutablePointer<Int64>, UnsafeMutablePointer<UInt16>, UnsafeMutablePointer<UInt64>
    ) {
        // Eight keys, and so eight quantities, are one line of the cache.
        let raw = UnsafeMutableRawPointer.allocate(byteCount: byteCount(capacity), alignment: 64)
        let words = words(capacity) + 2
        let keys = unsafe raw.bindMemory(to: Int64.self, capacity: capacity)
        let quantities = unsafe (raw + capacity * 8).bindMemory(to: Int64.self, capacity: capacity)
        let index = unsafe (raw + capacity * 16).bindMemory(to: Int64.self, capacity: capacity / 8)
        let gaps = unsafe (raw + capacity * 17).bindMemory(to: UInt64.self, capacity: words)
        let scales = unsafe (raw + capacity * 17 + words * 8).bindMemory(to: UInt16.self, capacity: capacity)
        unsafe gaps.initialize(repeating: 0, count: words)
        return unsafe (IndexedKeys(keys, index: index), quantities, scales, gaps + 1)
    }

    /// The bytes that the levels take.
    package var byteCount: Int { Self.byteCount(capacity) }
    package var isEmpty: Bool { count == 0 }

    package func key(at index: Int) -> Int64 {
        precondition(index >= 0 && index < slots)
        return keys[index]
    }
    package func quantity(at index: Int) -> Int64 {
        precondition(index >= 0 && index < slots)
        return unsafe quantities[index]
    }
    /// The sent scales: of the price in the low byte, of the quantity in the high byte.
    package func scales(at index: Int) -> UInt16 {
        precondition(index >= 0 && index < slots)
        return unsafe sharedScales == Self.differing
            ? scales[index] : UInt16(truncatingIfNeeded: sharedScales)
    }

    /// The next slot below `index` that holds a level, -1 if there is none; `slots` gives the best level.
    package func liveSlot(below index: Int) -> Int {
        var index = min(index, slots) - 1
        while index >= 0, unsafe quantities[index] == 0 { index -= 1 }
        return index
    }

    /// Whether the index of keys is true.
    var isIndexed: Bool { keys.isIndexed(count: slots) }

    /// The lines of keys in which the slots of four keys are looked for.
    @inline(__always)
    package func lines(
        of first: Int64, _ second: Int64, _ third: Int64, _ fourth: Int64
    ) -> (Int, Int, Int, Int) {
        keys.lines(of: first, second, third, fourth, count: slots)
    }

    /// The first slot whose key is not below `key`, which has been looked for in `line`; `slots` if there is none.
    @inline(__always)
    package func slot(of key: Int64, inLine line: Int) -> Int {
        keys.place(of: key, inLine: line, count: slots)
    }

    @inline(__always)
    private func slot(of key: Int64) -> Int {
        keys.place(of: key, inLine: keys.line(of: key, count: slots), count: slots)
    }

    /// Puts a level in, changes it, or with quantity zero takes it away.
    ///
    /// `near` is what `slot` gave for the key before other levels were set; it need not be true any more.
    /// Inlined as a whole: handing the fields to another function would write them to memory for every level.
    @inline(__always)
    package mutating func set(key: Int64, quantity: Int64, scales sent: UInt16, near: Int) {
        var index = near
        if !keys.isPlace(index, of: key, count: slots) { index = slot(of: key) }
        if UInt32(sent) != sharedScales, quantity != 0 { admit(scales: sent) }
        guard index < slots else {
            if quantity != 0 { insert(key: key, quantity: quantity, scales: sent, at: index) }
            return
        }
        // All ones if the slot has another key. A level that is held is changed, revived or taken away, one that is
        // not stays away: which of these cannot be foretold, so all are one way without a branch.
        let difference = keys.searched(index) ^ key
        let other = (difference | (0 &- difference)) &>> 63
        if quantity & other != 0 { return insert(key: key, quantity: quantity, scales: sent, at: index) }
        let before = unsafe quantities[index]
        let after = quantity & ~other | before & other
        unsafe quantities[index] = after
        if sharedScales == Self.differing {
            let mask = UInt16(truncatingIfNeeded: other)
            unsafe scales[index] = unsafe sent & ~mask | scales[index] & mask
        }
        count &+= (after != 0 ? 1 : 0) &- (before != 0 ? 1 : 0)
        let place = UInt64(truncatingIfNeeded: index & 63)
        let word = unsafe gaps[index &>> 6]
        unsafe gaps[index &>> 6] = word & ~(1 &<< place) | (after == 0 ? 1 : 0) &<< place
        if index == slots &- 1 {
            if after == 0 { dropGapsAtEnd() }
        } else if slots &- count > 32 &+ count &>> 2 {
            closeGaps()
        }
    }

    /// A level is about to be put that was sent with other scales than all before it.
    @inline(never)
    private mutating func admit(scales sent: UInt16) {
        guard count > 0 else { return sharedScales = UInt32(sent) }
        guard sharedScales != Self.differing else { return }
        unsafe scales.update(repeating: UInt16(truncatingIfNeeded: sharedScales), count: slots)
        sharedScales = Self.differing
    }

    @inline(__always) private static func bit(_ index: Int) -> UInt64 { 1 &<< UInt64(index & 63) }

    @inline(__always)
    private mutating func insert(key: Int64, quantity: Int64, scales sent: UInt16, at wanted: Int) {
        let index = takeGap(near: wanted) ?? openSlots(for: key, at: wanted)
        put(key: key, quantity: quantity, scales: sent, at: index)
        count &+= 1
    }

    @inline(__always)
    private func put(key: Int64, quantity: Int64, scales sent: UInt16, at index: Int) {
        keys.put(key, at: index)
        unsafe quantities[index] = quantity
        if sharedScales == Self.differing { unsafe scales[index] = sent }
    }

    /// Moves the nearest gap of the 64 slots on either side to `wanted` and returns where it is then; nil if there
    /// is none or the best end is nearer.
    @inline(__always)
    private mutating func takeGap(near wanted: Int) -> Int? {
        guard wanted < slots else { return nil }
        // The word of `wanted` is one of `capacity`, so both neighbours are there.
        let word = wanted &>> 6
        let place = UInt64(truncatingIfNeeded: wanted & 63)
        let own = unsafe gaps[word]
        // The lowest bit of `above` is for `wanted`, the highest of `below` for the slot before it.
        let above = unsafe own &>> place | (gaps[word &+ 1] &<< 1) &<< (63 &- place)
        let below = unsafe (own &<< 1) &<< (63 &- place) | gaps[word &- 1] &>> place
        let up = above.trailingZeroBitCount
        let down = below.leadingZeroBitCount
        guard min(up, down) < min(slots &- wanted, 64) else { return nil }
        if up <= down {
            let gap = wanted &+ up
            unsafe gaps[gap &>> 6] &= ~Self.bit(gap)
            moveUp(from: wanted, to: gap)
            return wanted
        }
        let gap = wanted &- 1 &- down
        unsafe gaps[gap &>> 6] &= ~Self.bit(gap)
        moveDown(from: wanted &- 1, to: gap)
        return wanted &- 1
    }

    /// Opens slots for `key` by moving all better levels; returns where the first is, those behind it are gaps.
    @inline(never)
    private mutating func openSlots(for key: Int64, at wanted: Int) -> Int {
        var index = wanted
        if slots == capacity, slots &- count > capacity / 16 {
            closeGaps()
            index = slot(of: key)
        }
        if slots == capacity { reserve(capacity + capacity / 4 + 16) }
        let moved = slots &- index
        // There is no gap in the 64 slots on either side, neither now nor after gaps were closed.
        guard moved > 64 else {
            moveUp(from: index, to: slots)
            slots += 1
            return index
        }
        let opened = max(1, min(8, capacity &- slots, 32 &+ count &>> 2 &- (slots &- count)))
        move(from: index, to: index &+ opened, count: moved)
        var word = (slots &+ opened &- 1) &>> 6
        slots &+= opened
        let shift = UInt64(truncatingIfNeeded: opened)
        while word > index &>> 6 {
            unsafe gaps[word] = unsafe gaps[word] &<< shift | gaps[word &- 1] &>> (64 &- shift)
            word &-= 1
        }
        for gap in index &+ 1..<index &+ opened {
            put(key: key, quantity: 0, scales: 0, at: gap)
            unsafe gaps[gap &>> 6] |= Self.bit(gap)
        }
        return index
    }

    /// Moves the levels in `from..<gap` one slot up.
    @inline(__always)
    private mutating func moveUp(from: Int, to gap: Int) {
        guard gap &- from <= 16 else { return move(from: from, to: from &+ 1, count: gap &- from) }
        var index = gap
        while index > from {
            copy(from: index &- 1, to: index)
            index &-= 1
        }
    }

    /// Moves the levels in `gap + 1...from` one slot down.
    @inline(__always)
    private mutating func moveDown(from: Int, to gap: Int) {
        guard from &- gap <= 16 else { return move(from: gap &+ 1, to: gap, count: from &- gap) }
        var index = gap
        while index < from {
            copy(from: index &+ 1, to: index)
            index &+= 1
        }
    }

    @inline(__always)
    private func copy(from: Int, to: Int) {
        keys.put(keys[from], at: to)
        unsafe quantities[to] = unsafe quantities[from]
        if sharedScales == Self.differing { unsafe scales[to] = unsafe scales[from] }
    }

    @inline(never)
    private mutating func move(from: Int, to: Int, count moved: Int) {
        guard moved > 0 else { return }
        keys.move(from: from, to: to, count: moved)
        unsafe (quantities + to).update(from: quantities + from, count: moved)
        if sharedScales == Self.differing { unsafe (scales + to).update(from: scales + from, count: moved) }
    }

    /// The last slot has become a gap: ends the ladder at the best level that is left.
    private mutating func dropGapsAtEnd() {
        var last = slots &- 1
        while last >= 0, unsafe quantities[last] == 0 {
            unsafe gaps[last &>> 6] &= ~Self.bit(last)
            last &-= 1
        }
        slots = last &+ 1
    }

    /// Brings all levels together.
    @inline(never)
    private mutating func closeGaps() {
        var next = 0
        for index in 0..<slots where unsafe quantities[index] != 0 {
            copy(from: index, to: next)
            next += 1
        }
        unsafe gaps.update(repeating: 0, count: Self.words(capacity))
        slots = next
    }

    /// Makes room for `wanted` levels in all.
    package mutating func reserve(_ wanted: Int) {
        guard wanted > capacity else { return }
        let wanted = Self.room(wanted)
        let (newKeys, newQuantities, newScales, newGaps) = unsafe Self.allocate(wanted)
        newKeys.take(keys, count: slots)
        unsafe newQuantities.update(from: quantities, count: slots)
        if sharedScales == Self.differing { unsafe newScales.update(from: scales, count: slots) }
        unsafe newGaps.update(from: gaps, count: Self.words(capacity))
        unsafe UnsafeMutableRawPointer(mutating: keys.address(0)).deallocate()
        unsafe (keys, quantities, scales, gaps) = unsafe (newKeys, newQuantities, newScales, newGaps)
        capacity = wanted
    }

    /// Empties the ladder; its room stays unless it is much more than `expected` levels need.
    package mutating func removeAll(expecting expected: Int = 0) {
        count = 0
        slots = 0
        sharedScales = 0
        let wanted = Self.room(expected)
        guard wanted > capacity || capacity > wanted * 2 else {
            unsafe gaps.update(repeating: 0, count: Self.words(capacity))
            return
        }
        unsafe UnsafeMutableRawPointer(mutating: keys.address(0)).deallocate()
        capacity = wanted
        unsafe (keys, quantities, scales, gaps) = Self.allocate(wanted)
    }

    /// Drops the `dropped` worst levels.
    package mutating func removeWorst(_ dropped: Int) {
        let dropped = min(max(dropped, 0), count)
        guard dropped > 0 else { return }
        closeGaps()
        move(from: dropped, to: 0, count: count - dropped)
        count -= dropped
        slots = count
    }

    /// Multiplies all keys by `factor`; false, with nothing changed, if one does not fit.
    package mutating func multiplyKeys(by factor: Int64) -> Bool { keys.multiply(by: factor, count: slots) }
}
