/// One price with the quantity that is now there; quantity zero takes the level away.
@usableFromInline package struct PriceLevel: Hashable, Sendable {
    @usableFromInline package var priceMantissa: Int64
    @usableFromInline package var quantityMantissa: Int64
    @usableFromInline package var priceScale: UInt8
    @usableFromInline package var quantityScale: UInt8

    @inlinable package init(price: FixedDecimal, quantity: FixedDecimal) {
        priceMantissa = price.mantissa
        quantityMantissa = quantity.mantissa
        priceScale = price.scale
        quantityScale = quantity.scale
    }

    @inlinable package var price: FixedDecimal { FixedDecimal(mantissa: priceMantissa, scale: priceScale) }
    @inlinable package var quantity: FixedDecimal {
        FixedDecimal(mantissa: quantityMantissa, scale: quantityScale)
    }
}

/// How an exchange family links one event to the one before it.
package enum SequenceRule: Sendable {
    /// Spot, US and TR: the event before ended at `first - 1`.
    case contiguous
    /// USD-M, COIN-M and options: the event names the end of the one before it (`pu`).
    case linked
}

/// One change of a book: all ids in (previous, `last`].
///
/// Made to be reused: a decoder refills it for every frame.
package struct DepthEvent: Sendable, Equatable {
    package var first: Int64 = 0
    package var last: Int64 = 0
    /// The end of the event before, where the exchange sends it.
    package var sentPrevious: Int64?
    /// The exchange's time in milliseconds; 0 if none was sent.
    package var eventTime: Int64 = 0
    package var bids: [PriceLevel] = []
    package var asks: [PriceLevel] = []

    package init(
        first: Int64 = 0, last: Int64 = 0, sentPrevious: Int64? = nil, eventTime: Int64 = 0,
        bids: [PriceLevel] = [], asks: [PriceLevel] = []
    ) {
        self.first = first
        self.last = last
        self.sentPrevious = sentPrevious
        self.eventTime = eventTime
        self.bids = bids
        self.asks = asks
    }

    /// Empties the event and keeps the room of its levels.
    package mutating func reset() {
        first = 0
        last = 0
        sentPrevious = nil
        eventTime = 0
        bids.removeAll(keepingCapacity: true)
        asks.removeAll(keepingCapacity: true)
    }

    /// The last id that this event follows on; nil if the rule needs one that was not sent.
    package func previous(under rule: SequenceRule) -> Int64? {
        switch rule {
        case .contiguous: first - 1
        case .linked: sentPrevious
        }
    }
}

/// A whole book at one id, as REST gives it.
package struct BookSnapshot: Sendable, Equatable {
    package var lastID: Int64
    /// The exchange's time in milliseconds, where it sends one.
    package var eventTime: Int64?
    package var bids: [PriceLevel]
    package var asks: [PriceLevel]

    package init(lastID: Int64 = 0, eventTime: Int64? = nil, bids: [PriceLevel] = [], asks: [PriceLevel] = [])
    {
        self.lastID = lastID
        self.eventTime = eventTime
        self.bids = bids
        self.asks = asks
    }
}

/// When something was received: on the clock that only goes forward, and in milliseconds since 1970.
package struct Arrival: Sendable, Equatable {
    package var instant: ContinuousClock.Instant
    package var wallMilliseconds: Int64

    package init(instant: ContinuousClock.Instant, wallMilliseconds: Int64) {
        self.instant = instant
        self.wallMilliseconds = wallMilliseconds
    }
}
