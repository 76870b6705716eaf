/// How far the levels of a snapshot reach.
package enum SnapshotCoverage: Sendable, Equatable {
    /// A reply to a request of so many levels a side.
    case limit(Int)
    /// Known to be the whole book.
    case whole
    /// What another book says of itself: complete down to `bidFloor` and up to `askCeiling`; nil: that side is whole.
    case bounds(bidFloor: FixedDecimal?, askCeiling: FixedDecimal?)

    /// What it says about one side.
    package func ofSide(_ side: Side) -> SideCoverage {
        switch self {
        case .limit(let limit): .limit(limit)
        case .whole: .whole
        case .bounds(let bidFloor, let askCeiling):
            (side == .bids ? bidFloor : askCeiling).map { .to($0) } ?? .whole
        }
    }
}

/// How far the levels of one side reach.
package enum SideCoverage: Sendable, Equatable {
    case limit(Int)
    case whole
    case to(FixedDecimal)

    /// Whether `levelCount` levels in answer to a request of `limit` are all that there are.
    ///
    /// A count that is itself a limit which exchanges offer may mean that the server cut the reply.
    package static func isWhole(levelCount: Int, limit: Int) -> Bool {
        switch levelCount {
        case 5, 10, 20, 50, 100, 500, 1000, 5000: false
        default: levelCount < limit
        }
    }
}

extension FixedDecimal {
    /// Whether this is the smaller number, whatever the scales.
    package func isLess(than other: FixedDecimal) -> Bool {
        if scale == other.scale { return mantissa < other.mantissa }
        let common = max(scale, other.scale)
        return Int128(mantissa) * Int128(powerOfTen(Int(common - scale)))
            < Int128(other.mantissa) * Int128(powerOfTen(Int(common - other.scale)))
    }
}

extension Side {
    /// Whether `price` lies beyond `bound`, seen from the best price.
    package func isBeyond(_ price: FixedDecimal, _ bound: FixedDecimal) -> Bool {
        self == .bids ? price.isLess(than: bound) : bound.isLess(than: price)
    }
}
