/// A bound on the quote volume (the sum of price × quantity) that an answer may reach.
package enum QuoteThreshold: Sendable, Equatable {
    /// No bound, as `inf` gives it.
    case unlimited
    /// Below any volume (`nan`, `-inf`, negative numbers): only the best level, which is always given.
    case bestOnly
    /// `mantissa` × 10^`exponent`.
    case volume(mantissa: UInt128, exponent: Int)

    /// The largest whole number of units of 10^-`scale` that is inside the bound; nil for no bound.
    func units(scale: Int) -> Int128? {
        switch self {
        case .unlimited: return nil
        case .bestOnly: return -1
        case .volume(let mantissa, let exponent):
            var units = mantissa
            var shift = exponent + scale
            while shift > 0, units > 0 {
                let (product, overflowed) = units.multipliedReportingOverflow(by: 10)
                if overflowed { return .max }
                units = product
                shift -= 1
            }
            while shift < 0, units > 0 {
                units /= 10
                shift += 1
            }
            return Int128(clamping: units)
        }
    }
}
