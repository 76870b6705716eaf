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
        var isFirst = true
        forEachLevel(limit: selection.count) { level in
            var line = TextLine()
            line.prepend(0x5D)
            if isText { line.prepend(0x22) }
            line.prepend(level.quantity, as: text)
            if isText { line.prepend(0x22) }
            line.prepend(0x2C)
            if isText { line.prepend(0x22) }
            line.prepend(level.price, as: text)
            if isText { line.prepend(0x22) }
            line.prepend(0x5B)
            if !isFirst { line.prepend(0x2C) }
            isFirst = false
            line.move(to: &bytes)
        }
        bytes.append(0x5D)
    }

    /// Appends a number as a JSON number, or as a string if `text` is `.exact` or `.canonical`.
    package static func appendJSON(_ number: FixedDecimal, as text: DecimalText, to bytes: inout [UInt8]) {
        if text != .compatible { bytes.append(0x22) }
        text.append(number, to: &bytes)
        if text != .compatible { bytes.append(0x22) }
    }
}
