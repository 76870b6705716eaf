/// The levels of one side in contiguous arrays, ascending by key, the best level at the end.
///
/// A level that is taken away leaves its slot behind with quantity zero: the next price nearby moves in, so that
/// few levels have to be moved. Where there is none nearby, several slots are opened at once: prices come in crowds.
/// The last slot is never such a gap, and gaps are closed when they are too many. A gap has the key of a level that
/// was there or of the level below it, so keys never fall, and of equal ones only the first can hold a level.
///
/// A key is the price for bids and the negated price for asks, all at one scale, so one direction serves both sides.
/// Prices, quantities and sent scales lie in three runs of one allocation that grows by a quarter: 18 bytes a level
/// and a bit, which is set for a gap.
/// Safe because: the memory is owned by this value alone, and every index is checked against `count` or `capacity`.
@safe package struct Ladder: ~Copyable, @unchecked Sendable {
    private(set) var keys: UnsafeMutablePointer<Int64>
    private(set) var quantities: UnsafeMutablePointer<Int64>
    private(set) var scales: UnsafeMutablePointer<UInt16>
    /// One bit for every slot: whether it is a gap.
    ///
    /// There is one more word, always zero, at either end.
    private(set) var gaps: UnsafeMutablePointer<UInt64>
    package private(set) var count = 0
    /// How many slots are in use, gaps included.
    package private(set) var slots = 0
    package private(set) var capacity: Int
    package init(capacity: Int = 0) {
        self.capacity = max(capacity, 16)
        unsafe (keys, quantities, scales, gaps) = Self.allocate(self.capacity)
    }

    deinit { unsafe UnsafeMutableRawPointer(keys).deallocate() }

    private static func words(_ capacity: Int) -> Int { (capacity + 63) / 64 }

    private static func byteCount(_ capacity: Int) -> Int { capacity * 18 + (words(capacity) + 2) * 8 }

    private static func allocate(
        _ capacity: Int
    ) -> (
        UnsafeMutablePointer<Int64>, UnsafeMutablePointer<Int64>, UnsafeMutablePointer<UInt16>,
        UnsafeMutablePointer<UInt64>
    ) {
        let raw = UnsafeMutableRawPointer.allocate(byteCount: byteCount(capacity), alignment: 16)
        let words = words(capacity) + 2
        let keys = unsafe raw.bindMemory(to: Int64.self, capacity: capacity)
        let quantities = unsafe (raw + capacity * 8).bindMemory(to: Int64.self, capacity: capacity)
        let gaps = unsafe (raw + capacity * 16).bindMemory(to: UInt64.self, capacity: words)
        let scales = unsafe (raw + capacity * 16 + words * 8).bindMemory(to: UInt16.self, capacity: capacity)
        unsafe gaps.initialize(repeating: 0, count: words)
        return unsafe (keys, quantities, scales, gaps + 1)
    }

    /// The bytes that the levels take.
    package var byteCount: Int { Self.byteCount(capacity) }
    package var isEmpty: Bool { count == 0 }

    package func key(at index: Int) -> Int64 {
        precondition(index >= 0 && index < slots)
        return unsafe keys[index]
    }
    package func quantity(at index: Int) -> Int64 {
        precondition(index >= 0 && index < slots)
        return unsafe quantities[index]
    }
    /// The sent scales: of the price in the low byte, of the quantity in the high byte.
    package func scales(at index: Int) -> UInt16 {
        precondition(index >= 0 && index < slots)
        return unsafe scales[index]
    }

    /// The next slot below `index` that holds a level, -1 if there is none; `slots` gives the best level.
    package func liveSlot(below index: Int) -> Int {
        var index = min(index, slots) - 1
        while index >= 0, unsafe quantities[index] == 0 { index -= 1 }
        return index
    }

    /// The first slot whose key is not below `key`, looked for from `hint`; `slots` if there is none.
    @inline(__always)
    package func slot(of key: Int64, near hint: Int) -> Int {
        unsafe Self.lowerBound(key, in: keys, slots, from: max(hint, 0))
    }

    /// The slots of four keys among those below `high`, as `slot` would give them.
    ///
    /// The four searches do not wait for each other, and have no branch that depends on a key.
    @inline(__always)
    package func slots(
        of first: Int64, _ second: Int64, _ third: Int64, _ fourth: Int64, below high: Int
    ) -> (Int, Int, Int, Int) {
        var (one, two, three, four) = (0, 0, 0, 0)
        var length = max(min(high, slots), 0)
        guard length > 0 else { return (0, 0, 0, 0) }
        // What is looked for is at `one` to `one + length`, which is never above `high`.
        while length > 1 {
            let half = length &>> 1
            let middle = unsafe keys + (half &- 1)
            one &+= half & Self.allOnes(ifBelow: first, unsafe middle[one])
            two &+= half & Self.allOnes(ifBelow: second, unsafe middle[two])
            three &+= half & Self.allOnes(ifBelow: third, unsafe middle[three])
            four &+= half & Self.allOnes(ifBelow: fourth, unsafe middle[four])
            length &-= half
        }
        one &-= Self.allOnes(ifBelow: first, unsafe keys[one])
        two &-= Self.allOnes(ifBelow: second, unsafe keys[two])
        three &-= Self.allOnes(ifBelow: third, unsafe keys[three])
        four &-= Self.allOnes(ifBelow: fourth, unsafe keys[four])
        return (one, two, three, four)
    }

    /// -1 if `found` is below `key`, else 0; all keys have one sign, so the difference fits.
    @inline(__always)
    private static func allOnes(ifBelow key: Int64, _ found: Int64) -> Int {
        Int(truncatingIfNeeded: (found &- key) &>> 63)
    }

    /// Puts a level in, changes it, or with quantity zero takes it away.
    ///
    /// `near` is what `slot` gave for the key before other levels were set; it need not be true any more.
    /// Inlined as a whole: handing the fields to another function would write them to memory for every level.
    @inline(__always)
    package mutating func set(key: Int64, quantity: Int64, scales sent: UInt16, near: Int) {
        var index = near
        if !isSlot(index, of: key) { index = slot(of: key, near: index) }
        guard index < slots else {
            if quantity != 0 { insert(key: key, quantity: quantity, scales: sent, at: index) }
            return
        }
        // All ones if the slot has another key. A level that is held is changed, revived or taken away, one that is
        // not stays away: which of these cannot be foretold, so all are one way without a branch.
        let difference = unsafe keys[index] ^ key
        let other = (difference | (0 &- difference)) &>> 63
        if quantity & other != 0 { return insert(key: key, quantity: quantity, scales: sent, at: index) }
        let before = unsafe quantities[index]
        let after = quantity & ~other | before & other
        unsafe quantities[index] = after
        let mask = UInt16(truncatingIfNeeded: other)
        unsafe scales[index] = unsafe sent & ~mask | scales[index] & mask
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

    /// Whether `index` is the first slot whose key is not below `key`.
    @inline(__always)
    private func isSlot(_ index: Int, of key: Int64) -> Bool {
        guard index >= 0, index <= slots else { return false }
        if index < slots, unsafe keys[index] < key { return false }
        return unsafe index == 0 || keys[index &- 1] < key
    }

    /// The index of the first key that is not below `key`, searched for from `hint`.
    ///
    /// Most are near: sixteen keys are counted without a branch, which cannot be predicted, before galloping.
    @inline(__always)
    private static func lowerBound(
        _ key: Int64, in keys: UnsafeMutablePointer<Int64>, _ slots: Int, from hint: Int
    ) -> Int {
        var high = min(hint, slots)
        if high < slots, unsafe keys[high] < key { return unsafe search(key, in: keys, high &+ 1, slots) }
        guard high >= 16 else { return unsafe search(key, in: keys, 0, high) }
        let place = unsafe keys + (high &- 16)
        let below = unsafe countBelow(key, place) &+ countBelow(key, place + 8)
        high = high &- 16 &+ below
        if below > 0 { return high }
        var step = 16
        while high >= step, unsafe keys[high &- step] >= key {
            high &-= step
            step &+= step
        }
        return unsafe search(key, in: keys, max(high &- step, 0), high)
    }

    /// The same among the slots from `low` to `high`; there are branches only on how many they are.
    @inline(__always)
    private static func search(
        _ key: Int64, in keys: UnsafeMutablePointer<Int64>, _ low: Int, _ high: Int
    ) -> Int {
        var low = low
        var length = high &- low
        while length > 16 || (length > 0 && low &+ length < 16) {
            let half = (length &+ 1) &>> 1
            let sign = unsafe (keys[low &+ half &- 1] &- key) &>> 63
            low &+= half & Int(truncatingIfNeeded: sign)
            length &-= half
        }
        guard length > 0 else { return low }
        // What lies below `low` counts too, as it is below the key.
        let window = low &+ length &- 16
        let places = unsafe keys + window
        return unsafe window &+ countBelow(key, places) &+ countBelow(key, places + 8)
    }

    /// How many of the eight keys at `place` are below `key`.
    ///
    /// All keys have one sign, so a difference fits and its sign tells which is less.
    @inline(__always)
    private static func countBelow(_ key: Int64, _ place: UnsafeMutablePointer<Int64>) -> Int {
        let keys = unsafe UnsafeRawPointer(place).loadUnaligned(as: SIMD8<Int64>.self)
        let marks = SIMD8<UInt64>(truncatingIfNeeded: keys &- SIMD8(repeating: key)) &>> 63
        return Int(truncatingIfNeeded: marks.wrappedSum())
    }

    @inline(__always) private static func bit(_ index: Int) -> UInt64 { 1 &<< UInt64(index & 63) }

    @inline(__always)
    private mutating func insert(key: Int64, quantity: Int64, scales sent: UInt16, at wanted: Int) {
        let index = takeGap(near: wanted) ?? openSlots(for: key, at: wanted)
        unsafe keys[index] = key
        unsafe quantities[index] = quantity
        unsafe scales[index] = sent
        count &+= 1
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
            index = unsafe Self.lowerBound(key, in: keys, slots, from: slots)
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
            unsafe keys[gap] = key
            unsafe quantities[gap] = 0
            unsafe scales[gap] = 0
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
            unsafe keys[index] = unsafe keys[index &- 1]
            unsafe quantities[index] = unsafe quantities[index &- 1]
            unsafe scales[index] = unsafe scales[index &- 1]
            index &-= 1
        }
    }

    /// Moves the levels in `gap + 1...from` one slot down.
    @inline(__always)
    private mutating func moveDown(from: Int, to gap: Int) {
        guard from &- gap <= 16 else { return move(from: gap &+ 1, to: gap, count: from &- gap) }
        var index = gap
        while index < from {
            unsafe keys[index] = unsafe keys[index &+ 1]
            unsafe quantities[index] = unsafe quantities[index &+ 1]
            unsafe scales[index] = unsafe scales[index &+ 1]
            index &+= 1
        }
    }

    @inline(never)
    private mutating func move(from: Int, to: Int, count moved: Int) {
        guard moved > 0 else { return }
        unsafe (keys + to).update(from: keys + from, count: moved)
        unsafe (quantities + to).update(from: quantities + from, count: moved)
        unsafe (scales + to).update(from: scales + from, count: moved)
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
            unsafe keys[next] = unsafe keys[index]
            unsafe quantities[next] = unsafe quantities[index]
            unsafe scales[next] = unsafe scales[index]
            next += 1
        }
        unsafe gaps.update(repeating: 0, count: Self.words(capacity))
        slots = next
    }

    /// Makes room for `wanted` levels in all.
    package mutating func reserve(_ wanted: Int) {
        guard wanted > capacity else { return }
        let (newKeys, newQuantities, newScales, newGaps) = unsafe Self.allocate(wanted)
        unsafe newKeys.update(from: keys, count: slots)
        unsafe newQuantities.update(from: quantities, count: slots)
        unsafe newScales.update(from: scales, count: slots)
        unsafe newGaps.update(from: gaps, count: Self.words(capacity))
        unsafe UnsafeMutableRawPointer(keys).deallocate()
        unsafe (keys, quantities, scales, gaps) = unsafe (newKeys, newQuantities, newScales, newGaps)
        capacity = wanted
    }

    /// Empties the ladder; its room stays unless it is much more than `expected` levels need.
    package mutating func removeAll(expecting expected: Int = 0) {
        count = 0
        slots = 0
        let wanted = max(expected, 16)
        guard wanted > capacity || capacity > wanted * 2 else {
            unsafe gaps.update(repeating: 0, count: Self.words(capacity))
            return
        }
        unsafe UnsafeMutableRawPointer(keys).deallocate()
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
    package mutating func multiplyKeys(by factor: Int64) -> Bool {
        for index in 0..<slots where unsafe keys[index].multipliedReportingOverflow(by: factor).overflow {
            return false
        }
        for index in 0..<slots { unsafe keys[index] &*= factor }
        return true
    }
}
