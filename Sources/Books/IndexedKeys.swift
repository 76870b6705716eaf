/// The keys of a ladder, ascending, and an index of every eighth: `index[i]` is `keys[8 * i]`.
///
/// Eight keys are one line of the processor's cache, and many books do not fit into it: a search reads the index, which
/// is small, and then one line of keys. Keys are written here only, so none can be without its entry in the index.
/// Safe because: the ladder, which owns the memory, checks every place against its number of slots or its room.
@safe struct IndexedKeys {
    private let keys: UnsafeMutablePointer<Int64>
    private let index: UnsafeMutablePointer<Int64>

    /// `keys` begins a cache line; `index` has a place for each line of it.
    init(_ keys: UnsafeMutablePointer<Int64>, index: UnsafeMutablePointer<Int64>) {
        unsafe self.keys = keys
        unsafe self.index = index
    }

    @inline(__always) subscript(_ place: Int) -> Int64 { unsafe keys[place] }

    /// The same key, from the index if that has it: a search has just read there, but not the line that begins with it.
    @inline(__always)
    func searched(_ place: Int) -> Int64 {
        let address = unsafe place & 7 == 0 ? index + place &>> 3 : keys + place
        return unsafe address.pointee
    }

    func address(_ place: Int) -> UnsafeRawPointer { unsafe UnsafeRawPointer(keys + place) }

    func indexAddress(_ place: Int) -> UnsafeRawPointer { unsafe UnsafeRawPointer(index + place &>> 3) }
}

/// Searching.
extension IndexedKeys {
    /// The line in which the first of `count` ascending keys that is not below `key` would be put: the last of those
    /// that begin below it.
    @inline(__always)
    func line(of key: Int64, count: Int) -> Int {
        var line = 0
        var length = (count &+ 7) &>> 3
        while length > 1 {
            let half = length &>> 1
            line &+= half & Self.allOnes(ifBelow: key, unsafe index[line &+ half])
            length &-= half
        }
        return line
    }

    /// The same for four keys: the searches do not wait for each other, and have no branch that depends on a key.
    @inline(__always)
    func lines(
        of first: Int64, _ second: Int64, _ third: Int64, _ fourth: Int64, count: Int
    ) -> (Int, Int, Int, Int) {
        var (one, two, three, four) = (0, 0, 0, 0)
        var length = (count &+ 7) &>> 3
        while length > 1 {
            let half = length &>> 1
            let middle = unsafe index + half
            one &+= half & Self.allOnes(ifBelow: first, unsafe middle[one])
            two &+= half & Self.allOnes(ifBelow: second, unsafe middle[two])
            three &+= half & Self.allOnes(ifBelow: third, unsafe middle[three])
            four &+= half & Self.allOnes(ifBelow: fourth, unsafe middle[four])
            length &-= half
        }
        return (one, two, three, four)
    }

    /// The first place whose key is not below `key`, which `line` was found for; `count` if there is none.
    @inline(__always)
    func place(of key: Int64, inLine line: Int, count: Int) -> Int {
        guard count >= 8 else {
            var place = 0
            while place < count, unsafe keys[place] < key { place &+= 1 }
            return place
        }
        // The last line may be shorter; what is read before it then is below the key as its own first one is.
        let first = min(line &<< 3, count &- 8)
        return unsafe first &+ Self.countBelow(key, keys + first)
    }

    /// Whether `place` is the first whose key is not below `key`.
    @inline(__always)
    func isPlace(_ place: Int, of key: Int64, count: Int) -> Bool {
        guard place >= 0, place <= count else { return false }
        if place < count, searched(place) < key { return false }
        return unsafe place == 0 || keys[place &- 1] < key
    }

    /// -1 if `found` is below `key`, else 0; all keys have one sign, so the difference fits.
    @inline(__always)
    private static func allOnes(ifBelow key: Int64, _ found: Int64) -> Int {
        Int(truncatingIfNeeded: (found &- key) &>> 63)
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
}

/// Writing.
extension IndexedKeys {
    /// Puts `key` at `place`.
    @inline(__always)
    func put(_ key: Int64, at place: Int) {
        unsafe keys[place] = key
        if place & 7 == 0 { unsafe index[place &>> 3] = key }
    }

    /// Moves `count` keys from `from` on to `to` on.
    @inline(__always)
    func move(from: Int, to: Int, count: Int) {
        unsafe (keys + to).update(from: keys + from, count: count)
        indexAgain(to..<to &+ count)
    }

    /// Takes the first `count` keys of `others`.
    func take(_ others: IndexedKeys, count: Int) {
        unsafe keys.update(from: others.keys, count: count)
        indexAgain(0..<count)
    }

    /// Multiplies the first `count` keys by `factor`; false, with nothing changed, if one does not fit.
    func multiply(by factor: Int64, count: Int) -> Bool {
        for place in 0..<count where unsafe keys[place].multipliedReportingOverflow(by: factor).overflow {
            return false
        }
        for place in 0..<count { put(unsafe keys[place] &* factor, at: place) }
        return true
    }

    @inline(__always)
    private func indexAgain(_ places: Range<Int>) {
        var line = (places.lowerBound &+ 7) &>> 3
        while line &<< 3 < places.upperBound {
            unsafe index[line] = unsafe keys[line &<< 3]
            line &+= 1
        }
    }

    /// Whether the index is true for the first `count` keys.
    func isIndexed(count: Int) -> Bool {
        stride(from: 0, to: count, by: 8).allSatisfy { unsafe index[$0 &>> 3] == keys[$0] }
    }
}
