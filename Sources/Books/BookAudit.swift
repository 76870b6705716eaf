/// What a comparison of a book with a reference at the same update id has shown.
package struct BookAudit: Sendable, Equatable {
    package var lastID: Int64
    package var bids: SideAudit
    package var asks: SideAudit

    /// Whether every level inside both coverages agrees.
    package var isExact: Bool { bids.isExact && asks.isExact }

    /// Compares inside the coverage that both books claim; nil unless they stand at one id,
    /// or the reference `isAhead`.
    package static func compare(
        _ live: borrowing OrderBook, _ reference: borrowing OrderBook, isAhead: Bool = false
    ) -> BookAudit? {
        guard live.lastID == reference.lastID || (isAhead && reference.lastID > live.lastID) else {
            return nil
        }
        return BookAudit(
            lastID: live.lastID, bids: SideAudit(live.bids, reference.bids),
            asks: SideAudit(live.asks, reference.asks))
    }
}

/// One level on which a book and its reference differ.
package struct LevelDifference: Sendable, Equatable {
    package var price: FixedDecimal
    /// Our quantity; nil if we have no such level.
    package var ours: FixedDecimal?
    /// The reference's quantity; nil if it has no such level.
    package var theirs: FixedDecimal?
}

/// How the levels of one side fared.
package struct SideAudit: Sendable, Equatable {
    package static let differenceLimit = 20

    /// Same price, same quantity.
    package private(set) var matched = 0
    /// Same price, another quantity.
    package private(set) var drifted = 0
    /// Levels of ours that the reference does not have.
    package private(set) var orphaned = 0
    /// Levels of the reference that we do not have.
    package private(set) var missed = 0
    /// The first differences from the best price on, at most `differenceLimit`.
    package private(set) var firstDifferences: [LevelDifference] = []
    /// The price up to which was compared; nil if both sides are whole.
    package private(set) var comparedTo: FixedDecimal?

    package init() {}

    package var isExact: Bool { drifted == 0 && orphaned == 0 && missed == 0 }

    init(_ live: borrowing BookSide, _ reference: borrowing BookSide) {
        let side = live.side
        comparedTo = live.reachesFarther(than: reference) ? reference.coveredTo : live.coveredTo
        var ours: [PriceLevel] = []
        var theirs: [PriceLevel] = []
        live.forEachLevel { ours.append($0) }
        reference.forEachLevel { theirs.append($0) }
        var (own, other) = (0, 0)
        while true {
            let mine = own < ours.count && isCompared(ours[own], side) ? ours[own] : nil
            let its = other < theirs.count && isCompared(theirs[other], side) ? theirs[other] : nil
            switch (mine, its) {
            case (nil, nil): return
            case (let mine?, let its?) where mine.price.isSameNumber(as: its.price):
                own += 1
                other += 1
                if mine.quantity.isSameNumber(as: its.quantity) {
                    matched += 1
                } else {
                    drifted += 1
                    note(mine.price, mine.quantity, its.quantity)
                }
            case (let mine?, let its?) where side.isBeyond(mine.price, its.price):
                other += 1
                missed += 1
                note(its.price, nil, its.quantity)
            case (nil, let its?):
                other += 1
                missed += 1
                note(its.price, nil, its.quantity)
            case (let mine?, _):
                own += 1
                orphaned += 1
                note(mine.price, mine.quantity, nil)
            }
        }
    }

    private func isCompared(_ level: PriceLevel, _ side: Side) -> Bool {
        comparedTo.map { !side.isBeyond(level.price, $0) } ?? true
    }

    private mutating func note(_ price: FixedDecimal, _ ours: FixedDecimal?, _ theirs: FixedDecimal?) {
        guard firstDifferences.count < Self.differenceLimit else { return }
        firstDifferences.append(LevelDifference(price: price, ours: ours, theirs: theirs))
    }
}
