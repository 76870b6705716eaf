/// Which side of a book is asked for.
package enum BookSide: UInt8, Sendable {
    case asks = 0
    case bids = 1
}

/// A bound on the summed price x quantity, exact.
///
/// A level that would cross it is left out; the best level never is.
package enum VolumeThreshold: Equatable, Sendable {
    case none
    /// `inf`, or more than any book can hold: the whole side.
    case unlimited
    /// Zero, negative and `nan`: the best level alone.
    case bestOnly
    /// mantissa x 10^-scale, greater than zero; the scale may be negative (`1e5` is 1 and -5).
    case quote(mantissa: UInt128, scale: Int16)
}

/// What a gateway asks a worker: one side of one book.
package struct BookQuery: Equatable, Sendable {
    package var exchange: String
    package var market: String
    package var side: BookSide
    /// As a Python slice end: 0 is no level, a negative one leaves out that many of the worst.
    package var limitCount: Int64?
    package var threshold: VolumeThreshold

    package init(
        exchange: String, market: String, side: BookSide, limitCount: Int64? = nil,
        threshold: VolumeThreshold = .none
    ) {
        self.exchange = exchange
        self.market = market
        self.side = side
        self.limitCount = limitCount
        self.threshold = threshold
    }

    package func encode(into bytes: inout [UInt8]) {
        bytes.append(LinkPayload.version)
        bytes.append(side.rawValue)
        bytes.append(limitCount == nil ? 0 : 1)
        bytes.appendLittleEndian(limitCount ?? 0)
        threshold.encode(into: &bytes)
        bytes.appendText(exchange, atMost: LinkPayload.longestName)
        bytes.appendText(market, atMost: LinkPayload.longestName)
    }

    package func encoded() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(40 + exchange.utf8.count + market.utf8.count)
        encode(into: &bytes)
        return bytes
    }

    /// Reads a payload and refuses everything that `encode` would not write.
    package init(decoding bytes: [UInt8]) throws(LinkPayloadError) {
        var reader = PayloadReader(bytes)
        try reader.version()
        let sideByte = try reader.byte("side")
        guard let side = BookSide(rawValue: sideByte) else {
            throw LinkPayloadError("expected side 0 or 1, was \(sideByte)")
        }
        let hasLimit = try reader.byte("limit flag")
        let limit = try reader.integer(Int64.self, "limit")
        guard hasLimit == 1 || (hasLimit == 0 && limit == 0) else {
            throw LinkPayloadError("expected limit flag 0 or 1, was \(hasLimit) with limit \(limit)")
        }
        let threshold = try VolumeThreshold(reading: &reader)
        let exchange = try reader.text("exchange", atMost: LinkPayload.longestName)
        let market = try reader.text("market", atMost: LinkPayload.longestName)
        try reader.end()
        self.init(
            exchange: exchange, market: market, side: side, limitCount: hasLimit == 1 ? limit : nil,
            threshold: threshold)
    }
}

extension VolumeThreshold {
    func encode(into bytes: inout [UInt8]) {
        switch self {
        case .none: bytes.append(0)
        case .unlimited: bytes.append(1)
        case .bestOnly: bytes.append(2)
        case .quote(let mantissa, let scale):
            bytes.append(3)
            bytes.appendLittleEndian(mantissa)
            bytes.appendLittleEndian(scale)
        }
    }

    init(reading reader: inout PayloadReader) throws(LinkPayloadError) {
        switch try reader.byte("threshold kind") {
        case 0: self = .none
        case 1: self = .unlimited
        case 2: self = .bestOnly
        case 3:
            let mantissa = try reader.integer(UInt128.self, "threshold mantissa")
            let scale = try reader.integer(Int16.self, "threshold scale")
            guard mantissa > 0 else { throw LinkPayloadError("expected a threshold above 0") }
            self = .quote(mantissa: mantissa, scale: scale)
        case let kind: throw LinkPayloadError("expected threshold kind 0 to 3, was \(kind)")
        }
    }
}
