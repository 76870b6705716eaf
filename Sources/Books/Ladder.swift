/// The levels of one side in contiguous arrays, ascending by key, the best level at the end.
///
/// A level that is taken away leaves its slot behind with quantity zero: the next price nearby moves in, so that
/// few levels have to be moved. The last slot is never such a gap, and gaps are closed when they are too many.
///
/// A key is the price for bids and the negated price for asks, all at one scale, so one direction serves both sides.
/// Prices, quantities and sent scales lie in three runs of one allocation that grows by a quarter: 18 bytes a level
/// and a bit, which is set for a gap.
/// Safe because: the memory is owned by this value alone, and every index is checked against `count` or `capacity`.
@safe package struct Ladder: ~Copyable, @unchecked Sendable {
    private var keys: UnsafeMutablePointer<Int64>
    private var quantities: UnsafeMutablePointer<Int64>
    private var scales: UnsafeMutablePointer<UInt16>
    /// One bit for every slot: whether it is a gap.
    private var gaps: UnsafeMutablePointer<UInt64>
    package private(set) var count = 0
    /// How many slots are in use, gaps included.
    package private(set) var slots = 0
    package private(set) var capacity: Int
    /// Where the last search ended: the levels of an event come in order, so the next one is near.
    private var hint = 0

    package init(capacity: Int = 0) {
        self.capacity = max(capacity, 16)
        unsafe (keys, quantities, scales, gaps) = Self.allocate(self.capacity)
    }

    deinit { unsafe UnsafeMutableRawPointer(keys).deallocate() }

    private static func words(_ capacity: Int) -> Int { (capacity + 63) / 64 }

    private static func byteCount(_ capacity: Int) -> Int { capacity * 18 + words(capacity) * 8 }

    private static func allocate(
        _ capacity: Int
    ) -> (
        UnsafeMutablePointer<Int64>, UnsafeMutablePointer<Int64>, UnsafeMutablePointer<UInt16>,
        UnsafeMutablePointer<UInt64>
    ) {
        let raw = UnsafeMutableRawPointer.allocate(byteCount: byteCount(capacity), alignment: 16)
        let words = words(capacity)
        let keys = unsafe raw.bindMemory(to: Int64.self, capacity: capacity)
        let quantities = unsafe (raw + capacity * 8).bindMemory(to: Int64.self, capacity: capacity)
        let gaps = unsafe (raw + capacity * 16).bindMemory(to: UInt64.self, capacity: words)
        let scales = unsafe (raw + capacity * 16 + words * 8).bindMemory(to: UInt16.self, capacity: capacity)
        unsafe gaps.initialize(repeating: 0, count: words)
        return unsafe (keys, quantities, scales, gaps)
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

    /// Makes the next search begin at the best level.
    package mutating func rewind() { hint = slots }

    /// The next slot below `index` that holds a level, -1 if there is none; `slots` gives the best level.
    package func liveSlot(below index: Int) -> Int {
        var index = min(index, slots) - 1
        while index >= 0, unsafe quantities[index] == 0 { index -= 1 }
        return index
    }

    /// Puts a level in, changes it, or with quantity zero takes it away.
    ///
    /// Inlined as a whole: handing the fields to another function would write them to memory for every level.
    @inline(__always)
    package mutating func set(key: Int64, quantity: Int64, scales sent: UInt16) {
        let index = unsafe Self.lowerBound(key, in: keys, slots, from: hint)
        hint = index
        if index < slots, unsafe keys[index] == key {
            let isGap = unsafe quantities[index] == 0
            if quantity == 0 {
                if !isGap { remove(at: index) }
                return
            }
            if isGap {
                count &+= 1
                unsafe gaps[index &>> 6] &= ~Self.bit(index)
            }
            unsafe quantities[index] = quantity
            unsafe scales[index] = sent
        } else if quantity != 0 {
            insert(key: key, quantity: quantity, scales: sent, at: index)
        }
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
        var index = wanted
        let gap = nearestGap(to: index)
        if gap >= index, gap < slots {
            unsafe gaps[gap &>> 6] &= ~Self.bit(gap)
            moveUp(from: index, to: gap)
        } else if gap >= 0, gap < index {
            unsafe gaps[gap &>> 6] &= ~Self.bit(gap)
            index &-= 1
            moveDown(from: index, to: gap)
        } else {
            index = appendSlot(for: key, at: index)
        }
        unsafe keys[index] = key
        unsafe quantities[index] = quantity
        unsafe scales[index] = sent
        count &+= 1
    }

    /// The nearest gap, or `slots` if the best end is nearer.
    @inline(__always)
    private mutating func nearestGap(to index: Int) -> Int {
        guard slots > count, index < slots else { return slots }
        var word = index &>> 6
        let own = unsafe gaps[word]
        let upper = own &>> UInt64(index & 63)
        let lower = own & (Self.bit(index) &- 1)
        let above = upper != 0 ? index &+ upper.trailingZeroBitCount : -1
        let below = lower != 0 ? word &<< 6 &+ 63 &- lower.leadingZeroBitCount : -1
        if above >= 0 { return index &- below < above &- index && below >= 0 ? below : above }
        if below >= 0, index &- below < slots &- index { return below }
        // None in this word: what lies above it is no longer a way than the best end.
        while word < (slots &- 1) &>> 6 {
            word &+= 1
            let bits = unsafe gaps[word]
            if bits != 0 { return word &<< 6 &+ bits.trailingZeroBitCount }
        }
        return slots
    }

    /// Opens a slot for `key` by moving all better levels; returns where it is.
    @inline(never)
    private mutating func appendSlot(for key: Int64, at wanted: Int) -> Int {
        var index = wanted
        if slots == capacity, slots &- count > capacity / 16 {
            closeGaps()
            index = unsafe Self.lowerBound(key, in: keys, slots, from: slots)
        }
        if slots == capacity { reserve(capacity + capacity / 4 + 16) }
        moveUp(from: index, to: slots)
        slots += 1
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

    @inline(__always)
    private mutating func remove(at index: Int) {
        unsafe quantities[index] = 0
        count &-= 1
        if index == slots &- 1 {
            dropGapsAtEnd()
        } else {
            unsafe gaps[index &>> 6] |= Self.bit(index)
            if slots &- count > 32 &+ count &>> 2 { closeGaps() }
        }
    }

    /// The last slot has become a gap: ends the ladder at the best level that is left.
    private mutating func dropGapsAtEnd() {
        var last = slots &- 2
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
        hint = slots
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
        hint = 0
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
        hint = slots
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
