/// What the leader sends to a worker: how much request weight it may use in this minute; asks for a report (docs/link.md, kind 20).
package struct WeightGrant: Equatable, Sendable {
    /// The grant for one pool.
    package struct Pool: Equatable, Sendable {
        package var name: String
        /// The exchange's minute that the grant is for, counted since 1970; it ends with it.
        package var minute: Int64
        /// All that the worker may use in that minute, with what it has used already.
        package var weight: Int
        /// The exchange's limit per minute as the leader knows it; 0: not known.
        package var limit: Int
        /// When the exchange may be asked again, by its clock in milliseconds; 0: now.
        package var blockedUntil: Int64
        package var isBanned: Bool

        package init(
            name: String, minute: Int64, weight: Int, limit: Int = 0, blockedUntil: Int64 = 0,
            isBanned: Bool = false
        ) {
            self.name = name
            self.minute = minute
            self.weight = weight
            self.limit = limit
            self.blockedUntil = blockedUntil
            self.isBanned = isBanned
        }
    }

    /// The number of the report that this answers; 0 before the first one.
    package var report: UInt64
    /// How long the worker may wait for news before it reports.
    package var holdMilliseconds: Int
    /// How many programs share the address.
    package var workers: Int
    package var pools: [Pool]

    package init(report: UInt64, holdMilliseconds: Int, workers: Int, pools: [Pool]) {
        self.report = report
        self.holdMilliseconds = holdMilliseconds
        self.workers = workers
        self.pools = pools
    }

    package func encoded() -> [UInt8] {
        var bytes: [UInt8] = [LinkPayload.version]
        bytes.appendLittleEndian(report)
        bytes.appendLittleEndian(UInt16(clamping: holdMilliseconds))
        bytes.appendLittleEndian(UInt16(clamping: workers))
        bytes.appendLittleEndian(UInt16(min(pools.count, LinkPayload.mostPools)))
        for pool in pools.prefix(LinkPayload.mostPools) {
            bytes.appendText(pool.name, atMost: LinkPayload.longestName)
            bytes.appendLittleEndian(pool.minute)
            bytes.appendLittleEndian(UInt32(clamping: pool.weight))
            bytes.appendLittleEndian(UInt32(clamping: pool.limit))
            bytes.appendLittleEndian(pool.blockedUntil)
            bytes.append(pool.isBanned ? 1 : 0)
        }
        return bytes
    }

    package init(decoding bytes: [UInt8]) throws(LinkPayloadError) {
        var reader = PayloadReader(bytes)
        try reader.version()
        report = try reader.integer(UInt64.self, "report")
        holdMilliseconds = Int(try reader.integer(UInt16.self, "hold"))
        workers = Int(try reader.integer(UInt16.self, "workers"))
        pools = []
        for _ in 0..<(try reader.poolCount()) {
            let name = try reader.text("pool", atMost: LinkPayload.longestName)
            let minute = try reader.time("minute")
            let weight = Int(try reader.integer(UInt32.self, "weight"))
            let limit = Int(try reader.integer(UInt32.self, "limit"))
            let blockedUntil = try reader.time("blocked until")
            pools.append(
                Pool(
                    name: name, minute: minute, weight: weight, limit: limit, blockedUntil: blockedUntil,
                    isBanned: try reader.flag("ban")))
        }
        try reader.end()
    }
}

extension LinkPayload {
    /// Pools in one grant or report.
    package static let mostPools = 64
}

extension PayloadReader {
    mutating func poolCount() throws(LinkPayloadError) -> Int {
        let count = Int(try integer(UInt16.self, "pools"))
        guard count <= LinkPayload.mostPools else {
            throw LinkPayloadError("expected at most \(LinkPayload.mostPools) pools, was \(count)")
        }
        return count
    }

    /// A time or the number of a minute: far from the ends, so that it can be reckoned with.
    mutating func time(_ field: StaticString) throws(LinkPayloadError) -> Int64 {
        let value = try integer(Int64.self, field)
        guard (0...(1 << 50)).contains(value) else {
            throw LinkPayloadError("expected \(field) of this age, was \(value)")
        }
        return value
    }
}
