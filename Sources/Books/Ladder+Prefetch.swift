internal import CPrefetch

/// Asking for memory ahead of time; nothing is read or written.
extension Ladder {
    /// Asks for the memory that the next change will most likely touch, without waiting for it.
    ///
    /// These are the best levels, and the keys that every search compares first.
    package func prefetch() {
        guard slots > 0 else { return }
        var index = slots &- 1
        unsafe cprefetch_line(gaps + index &>> 6)
        for _ in 0..<8 where index >= 0 {
            unsafe cprefetch_line(keys + index)
            unsafe cprefetch_line(quantities + index)
            if index & 24 == 0 { unsafe cprefetch_line(scales + index) }
            index &-= 8
        }
        var (start, length) = (0, slots)
        while length > 32 {
            let half = length &>> 1
            unsafe cprefetch_line(keys + (start &+ half &- 1))
            start &+= half
            length &-= half
        }
    }

    /// Asks for the memory of a level that is about to be set.
    @inline(__always)
    package func prefetch(slot: Int) {
        unsafe cprefetch_line(quantities + slot)
        unsafe cprefetch_line(scales + slot)
    }
}
