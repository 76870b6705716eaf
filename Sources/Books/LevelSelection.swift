internal import CDigits

/// Which levels of a side answer a query, and whether the query could be met inside the coverage.
package struct LevelSelection: Sendable, Equatable {
    /// The levels are those of ranks 0 up to, not including, this one.
    package var count: Int
    /// False if levels beyond the coverage would belong to the answer.
    package var isComplete: Bool

    package init(count: Int, isComplete: Bool) {
        self.count = count
        self.isComplete = isComplete
    }
}

extension BookSide {
    /// Chooses levels as the compatibility API does: first cut by quote volume, then by count.
    ///
    /// A negative `limit` drops that many of the worst levels. The best level passes every threshold.
    package func select(limit: Int?, threshold: QuoteThreshold?) -> LevelSelection {
        let available = coveredCount
        var chosen = available
        var isMet = isWhole
        if let threshold, threshold != .unlimited {
            chosen = cut(at: threshold, available)
            if chosen < available { isMet = true }
        }
        guard let limit else { return LevelSelection(count: chosen, isComplete: isMet) }
        if limit < 0 { return LevelSelection(count: max(0, chosen + max(limit, -chosen)), isComplete: isMet) }
        return LevelSelection(count: min(limit, chosen), isComplete: isMet || limit <= chosen)
    }

    private func cut(at threshold: QuoteThreshold, _ available: Int) -> Int {
        guard let most = threshold.units(scale: Int(priceScale) + Int(quantityScale)) else {
            return available
        }
        var total: Int128 = 0
        var index = ladder.slots
        for rank in 0..<available {
            index = ladder.liveSlot(below: index)
            let sentScale = UInt8(truncatingIfNeeded: ladder.scales(at: index) >> 8)
            let product = Int128(ladder.key(at: index).magnitude) * Int128(ladder.quantity(at: index))
            let (scaled, overflowed) = product.multipliedReportingOverflow(
                by: Int128(powerOfTen(Int(quantityScale - sentScale))))
            let (sum, carried) = total.addingReportingOverflow(scaled)
            // A sum that does not fit is above any threshold.
            if overflowed || carried || sum > most { return max(rank, 1) }
            total = sum
        }
        return available
    }

    /// Appends `[[price,quantity],…]`, the best first: JSON numbers, or strings if `text` is `.exact`.
    package func appendJSON(_ selection: LevelSelection, as text: DecimalText, to bytes: inout [UInt8]) {
        bytes.append(0x5B)
        let isText = text != .compatible
        // The levels are put together on the stack and appended many at once.
        let room = Self.pieceSize + DecimalText.digitsRoom
        unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: room) { piece in
            guard let start = piece.baseAddress else { return }
            let digits = unsafe start + Self.pieceSize
            unsafe digits.initialize(repeating: 0, count: DecimalText.digitsRoom)
            let full = unsafe digits - Self.longestLevel
            var end = unsafe start
            var slot = ladder.slots
            for rank in 0..<selection.count {
                slot = ladder.liveSlot(below: slot)
                guard slot >= 0 else { break }
                if unsafe end > full {
                    unsafe bytes.append(contentsOf: UnsafeBufferPointer(start: start, count: end - start))
                    unsafe end = start
                }
                unsafe end = write(element: slot, rank, as: text, isText, at: end, digits)
            }
            unsafe bytes.append(contentsOf: UnsafeBufferPointer(start: start, count: end - start))
        }
        bytes.append(0x5D)
    }

    /// Writes the level in `slot` as an element of an array, after a comma unless it is the first.
    @inline(__always)
    private func write(
        element slot: Int, _ rank: Int, as text: DecimalText, _ isText: Bool,
        at place: UnsafeMutablePointer<UInt8>, _ digits: UnsafeMutablePointer<UInt8>
    ) -> UnsafeMutablePointer<UInt8> {
        var end = unsafe place
        if rank > 0 { unsafe Self.put(0x2C, &end) }
        unsafe Self.put(0x5B, &end)
        unsafe end = write(level: slot, as: text, isText, at: end, digits)
        unsafe Self.put(0x5D, &end)
        return unsafe end
    }

    /// Writes price and quantity of the level in `slot`; hot.
    @inline(__always)
    private func write(
        level slot: Int, as text: DecimalText, _ isText: Bool, at place: UnsafeMutablePointer<UInt8>,
        _ digits: UnsafeMutablePointer<UInt8>
    ) -> UnsafeMutablePointer<UInt8> {
        var end = unsafe place
        let scales = ladder.scales(at: slot)
        let (sent, scale) = (Int(scales & 0xFF), Int(scales &>> 8))
        let (price, quantity) = (ladder.key(at: slot).magnitude, ladder.quantity(at: slot).magnitude)
        let common = Int(priceScale)
        let isShort = DecimalText.isShort(price, scale: common) && DecimalText.isShort(quantity, scale: scale)
        let significant = isShort ? unsafe cdigits_write(price, quantity, digits) : 0
        if isText { unsafe Self.put(0x22, &end) }
        unsafe end =
            isShort
            ? text.write(digits, significant, scale: common, sent: sent, at: end)
            : text.writeLong(price, scale: common, sent: sent, at: end)
        if isText { unsafe Self.put(0x22, &end) }
        unsafe Self.put(0x2C, &end)
        if isText { unsafe Self.put(0x22, &end) }
        unsafe end =
            isShort
            ? text.write(digits + 16, significant &>> 16, scale: scale, sent: scale, at: end)
            : text.writeLong(quantity, scale: scale, sent: scale, at: end)
        if isText { unsafe Self.put(0x22, &end) }
        return unsafe end
    }

    /// Writes what `appendJSON` appends as `.exact` to `place`, which has room for it, and returns where it ends.
    func writeJSON(
        _ selection: LevelSelection, at place: UnsafeMutablePointer<UInt8>,
        _ digits: UnsafeMutablePointer<UInt8>
    ) -> UnsafeMutablePointer<UInt8> {
        var end = unsafe place
        unsafe Self.put(0x5B, &end)
        var slot = ladder.slots
        for rank in 0..<selection.count {
            slot = ladder.liveSlot(below: slot)
            guard slot >= 0 else { break }
            unsafe end = write(element: slot, rank, as: .exact, true, at: end, digits)
        }
        unsafe Self.put(0x5D, &end)
        return unsafe end
    }

    /// The room that so many levels need in `writeJSON`.
    package static func room(levels: Int) -> Int { 2 + levels * longestLevel }

    private static let pieceSize = 4096
    /// Two numbers, with brackets, quotes and commas, and the room that they need.
    private static let longestLevel = 2 * DecimalText.room + 8

    @inline(__always)
    private static func put(_ byte: UInt8, _ end: inout UnsafeMutablePointer<UInt8>) {
        unsafe end.pointee = byte
        unsafe end += 1
    }

    /// Appends a number as a JSON number, or as a string if `text` is `.exact` or `.canonical`.
    package static func appendJSON(_ number: FixedDecimal, as text: DecimalText, to bytes: inout [UInt8]) {
        if text != .compatible { bytes.append(0x22) }
        text.append(number, to: &bytes)
        if text != .compatible { bytes.append(0x22) }
    }
}
