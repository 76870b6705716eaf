/// The levels of one side in contiguous arrays, ascending by key, the best level at the end.
///
/// A key is the price for bids and the negated price for asks, all at one scale, so one direction serves both sides.
/// Prices, quantities and sent scales lie in three runs of one allocation that grows by a quarter: 18 bytes a level.
/// Safe because: the memory is owned by this value alone, and every index is checked against `count` or `capacity`.
@safe package struct Ladder: ~Copyable, @unchecked Sendable {
    private var keys: UnsafeMutablePointer<Int64>
    private var quantities: UnsafeMutablePointer<Int64>
    private var scales: UnsafeMutablePointer<UInt16>
    package private(set) var count = 0
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
        precondition(index >= 0 && index < count)
        return unsafe keys[index]
    }
    package func quantity(at index: Int) -> Int64 {
        precondition(index >= 0 && index < count)
        return unsafe quantities[index]
    }
    /// The sent scales: of the price in the low byte, of the quantity in the high byte.
    package func scales(at index: Int) -> UInt16 {
        precondition(index >= 0 && index < count)
        return unsafe scales[index]
    }

    /// Makes the next search begin at the best level.
    package mutating func rewind() { hint = count }

    /// Puts a level in, changes it, or with quantity zero takes it away.
    package mutating func set(key: Int64, quantity: Int64, scales sent: UInt16) {
        let index = lowerBound(key)
        hint = index
        if index < count, unsafe keys[index] == key {
            if quantity == 0 { return remove(at: index) }
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
        if hint < count, unsafe keys[hint] < key {
            low = hint + 1
            var step = 1
            high = low
            while high < count, unsafe keys[high] < key {
                low = high + 1
                high += step
                step += step
            }
            high = min(high, count)
        } else {
            high = min(hint, count)
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

    private mutating func insert(key: Int64, quantity: Int64, scales sent: UInt16, at index: Int) {
        if count == capacity { reserve(capacity + capacity / 4 + 16) }
        let moved = count - index
        if moved > 0 {
            unsafe (keys + index + 1).update(from: keys + index, count: moved)
            unsafe (quantities + index + 1).update(from: quantities + index, count: moved)
            unsafe (scales + index + 1).update(from: scales + index, count: moved)
        }
        unsafe keys[index] = key
        unsafe quantities[index] = quantity
        unsafe scales[index] = sent
        count += 1
    }

    private mutating func remove(at index: Int) {
        let moved = count - index - 1
        if moved > 0 {
            unsafe (keys + index).update(from: keys + index + 1, count: moved)
            unsafe (quantities + index).update(from: quantities + index + 1, count: moved)
            unsafe (scales + index).update(from: scales + index + 1, count: moved)
        }
        count -= 1
    }

    /// Adds a level behind all others; false if its key is not above theirs.
    package mutating func appendBest(key: Int64, quantity: Int64, scales sent: UInt16) -> Bool {
        if count > 0, unsafe keys[count - 1] >= key { return false }
        insert(key: key, quantity: quantity, scales: sent, at: count)
        return true
    }

    /// Makes room for `wanted` levels in all.
    package mutating func reserve(_ wanted: Int) {
        guard wanted > capacity else { return }
        let (newKeys, newQuantities, newScales) = unsafe Self.allocate(wanted)
        unsafe newKeys.update(from: keys, count: count)
        unsafe newQuantities.update(from: quantities, count: count)
        unsafe newScales.update(from: scales, count: count)
        unsafe UnsafeMutableRawPointer(keys).deallocate()
        unsafe (keys, quantities, scales) = unsafe (newKeys, newQuantities, newScales)
        capacity = wanted
    }

    /// Empties the ladder; its room stays unless it is much more than `expected` levels need.
    package mutating func removeAll(expecting expected: Int = 0) {
        count = 0
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
        let kept = count - dropped
        unsafe keys.update(from: keys + dropped, count: kept)
        unsafe quantities.update(from: quantities + dropped, count: kept)
        unsafe scales.update(from: scales + dropped, count: kept)
        count = kept
        hint = count
    }

    /// Multiplies all keys by `factor`; false, with nothing changed, if one does not fit.
    package mutating func multiplyKeys(by factor: Int64) -> Bool {
        for index in 0..<count where unsafe keys[index].multipliedReportingOverflow(by: factor).overflow {
            return false
        }
        for index in 0..<count { unsafe keys[index] &*= factor }
        return true
    }
}
