internal import CPrefetch

/// Asking for memory ahead of time; nothing is read or written.
extension Ladder {
    /// Asks for the memory that the next change will most likely touch, without waiting for it: the index, and the best
    /// levels.
    ///
    /// Of a deep ladder only the better end: the processor forgets what is asked for beyond some twenty lines.
    package func prefetch() {
        guard slots > 0 else { return }
        let last = slots &- 1
        var place = last
        for _ in 0..<9 where place >= 0 {
            unsafe cprefetch_line(keys.indexAddress(place))
            place &-= 64
        }
        unsafe cprefetch_line(gaps + last &>> 6)
        unsafe cprefetch_line(keys.address(last))
        unsafe cprefetch_line(quantities + last)
    }

    /// Asks for the best levels alone.
    package func prefetchBest() {
        guard slots > 0 else { return }
        unsafe cprefetch_line(keys.address(slots &- 1))
        unsafe cprefetch_line(quantities + (slots &- 1))
    }

    /// Asks for the levels of one line of keys, among which one will be looked for and set.
    @inline(__always)
    package func prefetch(line: Int) {
        unsafe cprefetch_line(keys.address(line &<< 3))
        unsafe cprefetch_line(quantities + line &<< 3)
    }

    /// Asks for the memory of a level that is about to be set.
    @inline(__always)
    package func prefetch(slot: Int) { unsafe cprefetch_line(quantities + slot) }
}
