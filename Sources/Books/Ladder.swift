/// The levels of one side in contiguous arrays, ascending by key, the best level at the end.
///
/// A level that is taken away leaves its slot behind with quantity zero: the next price nearby moves in, so that
/// few levels have to be moved. The last slot is never such a gap, and gaps are closed when they are too many.
///
/// A key is the price for bids and the negated price for asks, all at one scale, so one direction serves both sides.
/// Prices, quantities and sent scales lie in three runs of one allocation that grows by a quarter: 18 bytes a level.
/// Safe because: the memory is owned by this value alone, and every index is checked against `count` or `capacity`.
@safe package struct Ladder: ~Copyable, @unchecked Sendable {
    private var keys: UnsafeMutablePointer<Int64>
    private var quantities: UnsafeMutablePointer<Int64>
    private var scales: UnsafeMutablePointer<UInt16>
    package private(set) var count = 0
    /// How many slots are in use, gaps included.
    package private(set) var slots = 0
    package private(set) var capacity: Int
    /// Where the last search ended: the levels of an event come in order, so the next one is near.
    private var hint = 0

    package init(capacity: Int = 0) {
        self.capacity = max(capacity, 16)
        unsafe (keys, quantities, scales) = Self.allocate(self.capacity)
    }

    deinit { unsafe UnsafeMutableRawPointer(keys).deallocate() }

    private static func allocate(
        _ capacity: Int
    ) -> (UnsafeMutablePointer<Int64>, UnsafeMutablePointer<Int64>, UnsafeMutablePointer<UInt16>) {
        let raw = UnsafeMutableRawPointer.allocate(byteCount: capacity * 18, alignment: 16)
        let keys = unsafe raw.bindMemory(to: Int64.self, capacity: capacity)
        let quantities = unsafe (raw + capacity * 8).bindMemory(to: Int64.self, capacity: capacity)
        let scales = unsafe (raw + capacity * 16).bindMemory(to: UInt16.self, capacity: capacity)
        return unsafe (keys, quantities, scales)
    }

    /// The bytes that the levels take.
    package var byteCount: Int { capacity * 18 }
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
    package mutating func set(key: Int64, quantity: Int64, scales sent: UInt16) {
        let index = lowerBound(key)
        hint = index
        if index < slots, unsafe keys[index] == key {
            if quantity == 0 { return remove(at: index) }
            if unsafe quantities[index] == 0 { count += 1 }
            unsafe quantities[index] = quantity
            unsafe scales[index] = sent
        } else if quantity != 0 {
            insert(key: key, quantity: quantity, scales: sent, at: index)
        }
    }

    /// The index of the first key that is not below `key`, found by galloping from the last one.
    private func lowerBound(_ key: Int64) -> Int {
        var low: Int
        var high: Int
        if hint < slots, unsafe keys[hint] < key {
            low = hint + 1
            var step = 1
            high = low
            while high < slots, unsafe keys[high] < key {
                low = high + 1
                high += step
                step += step
            }
            high = min(high, slots)
        } else {
            high = min(hint, slots)
            var step = 1
            low = high - 1
            while low >= 0, unsafe keys[low] >= key {
                high = low
                low -= step
                step += step
            }
            low = max(low, -1) + 1
        }
        while low < high {
            let middle = (low &+ high) &>> 1
            if unsafe keys[middle] < key { low = middle &+ 1 } else { high = middle }
        }
        return low
    }

    private mutating func insert(key: Int64, quantity: Int64, scales sent: UInt16, at wanted: Int) {
        var index = wanted
        if let gap = gap(near: index) {
            if gap >= index {
                move(from: index, to: index + 1, count: gap - index)
            } else {
                move(from: gap + 1, to: gap, count: index - gap - 1)
                index -= 1
            }
        } else {
            if slots == capacity, slots - count > capacity / 16 {
                closeGaps()
                index = lowerBound(key)
            }
            if slots == capacity { reserve(capacity + capacity / 4 + 16) }
            move(from: index, to: index + 1, count: slots - index)
            slots += 1
        }
        unsafe keys[index] = key
        unsafe quantities[index] = quantity
        unsafe scales[index] = sent
        count += 1
    }

    /// The nearest gap, if one is nearer than the best level and not far.
    private func gap(near index: Int) -> Int? {
        guard slots > count else { return nil }
        let reach = min(slots - index, 64)
        for distance in 0..<max(reach, 0) {
            if unsafe quantities[index + distance] == 0 { return index + distance }
            let below = index - 1 - distance
            if below >= 0, unsafe quantities[below] == 0 { return below }
        }
        return nil
    }

    private mutating func move(from: Int, to: Int, count moved: Int) {
        guard moved > 0 else { return }
        unsafe (keys + to).update(from: keys + from, count: moved)
        unsafe (quantities + to).update(from: quantities + from, count: moved)
        unsafe (scales + to).update(from: scales + from, count: moved)
    }

    private mutating func remove(at index: Int) {
        guard unsafe quantities[index] != 0 else { return }
        unsafe quantities[index] = 0
        count -= 1
        if index == slots - 1 {
            slots = liveSlot(below: slots) + 1
        } else if slots - count > 32 + count / 8 {
            closeGaps()
        }
    }

    /// Brings all levels together.
    private mutating func closeGaps() {
        var next = 0
        for index in 0..<slots where unsafe quantities[index] != 0 {
            unsafe keys[next] = unsafe keys[index]
            unsafe quantities[next] = unsafe quantities[index]
            unsafe scales[next] = unsafe scales[index]
            next += 1
        }
        slots = next
        hint = slots
    }

    /// Makes room for `wanted` levels in all.
    package mutating func reserve(_ wanted: Int) {
        guard wanted > capacity else { return }
        let (newKeys, newQuantities, newScales) = unsafe Self.allocate(wanted)
        unsafe newKeys.update(from: keys, count: slots)
        unsafe newQuantities.update(from: quantities, count: slots)
        unsafe newScales.update(from: scales, count: slots)
        unsafe UnsafeMutableRawPointer(keys).deallocate()
        unsafe (keys, quantities, scales) = unsafe (newKeys, newQuantities, newScales)
        capacity = wanted
    }

    /// Empties the ladder; its room stays unless it is much more than `expected` levels need.
    package mutating func removeAll(expecting expected: Int = 0) {
        count = 0
        slots = 0
        hint = 0
        let wanted = max(expected, 16)
        guard wanted > capacity || capacity > wanted * 2 else { return }
        unsafe UnsafeMutableRawPointer(keys).deallocate()
        capacity = wanted
        unsafe (keys, quantities, scales) = Self.allocate(wanted)
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
