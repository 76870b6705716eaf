/// What a worker answers to a `WeightGrant`: what it has used, holds and wants (docs/link.md, kind 21).
package struct WeightReport: Equatable, Sendable {
    /// Orders of one urgency that could go out now, if there were weight for them.
    package struct Demand: Equatable, Sendable {
        package var weight: Int
        /// The weight of the costliest one: less than that may be of no use.
        package var largest: Int
        package var orders: Int

        package init(weight: Int = 0, largest: Int = 0, orders: Int = 0) {
            self.weight = weight
            self.largest = largest
            self.orders = orders
        }
    }

    /// One pool as the worker sees it.
    package struct Pool: Equatable, Sendable {
        package var name: String
        /// The exchange's clock in milliseconds since 1970, by the worker's best knowledge; 0: no reply of it has come yet.
        package var time: Int64
        /// The minute that the following numbers are about.
        package var minute: Int64 = 0
        /// The worker's own use, with requests under way.
        package var spent = 0
        /// The part of `spent` that is answered.
        package var settled = 0
        /// The highest used weight told by a reply of this minute, which counts everybody behind the address.
        package var header = 0
        /// The grant that the worker has.
        package var granted = 0
        /// What it may use without one.
        package var share = 0
        package var limit = 0
        /// When the exchange may be asked again, by its clock; 0: now.
        package var blockedUntil: Int64 = 0
        package var isBanned = false
        /// What waits: first copies; depth, probes and questions after quiet markets; all else; in this order.
        package var demands = [Demand](repeating: Demand(), count: 3)

        package init(name: String, time: Int64) {
            self.name = name
            self.time = time
        }
    }

    /// Counted from 1 by each start of the worker.
    package var number: UInt64
    package var pools: [Pool]

    package init(number: UInt64, pools: [Pool]) {
        self.number = number
        self.pools = pools
    }

    package func encoded() -> [UInt8] {
        var bytes: [UInt8] = [LinkPayload.version]
        bytes.appendLittleEndian(number)
        bytes.appendLittleEndian(UInt16(min(pools.count, LinkPayload.mostPools)))
        for pool in pools.prefix(LinkPayload.mostPools) {
            bytes.appendText(pool.name, atMost: LinkPayload.longestName)
            bytes.appendLittleEndian(pool.time)
            bytes.appendLittleEndian(pool.minute)
            for number in [pool.spent, pool.settled, pool.header, pool.granted, pool.share, pool.limit] {
                bytes.appendLittleEndian(UInt32(clamping: number))
            }
            bytes.appendLittleEndian(pool.blockedUntil)
            bytes.append(pool.isBanned ? 1 : 0)
            for demand in pool.demands.prefix(3) {
                for number in [demand.weight, demand.largest, demand.orders] {
                    bytes.appendLittleEndian(UInt32(clamping: number))
                }
            }
        }
        return bytes
    }

    package init(decoding bytes: [UInt8]) throws(LinkPayloadError) {
        var reader = PayloadReader(bytes)
        try reader.version()
        number = try reader.integer(UInt64.self, "report")
        pools = []
        for _ in 0..<(try reader.poolCount()) { pools.append(try Self.pool(&reader)) }
        try reader.end()
    }

    private static func pool(_ reader: inout PayloadReader) throws(LinkPayloadError) -> Pool {
        func number(_ field: StaticString) throws(LinkPayloadError) -> Int {
            Int(try reader.integer(UInt32.self, field))
        }
        let name = try reader.text("pool", atMost: LinkPayload.longestName)
        var pool = Pool(name: name, time: try reader.time("time"))
        pool.minute = try reader.time("minute")
        pool.spent = try number("spent")
        pool.settled = try number("settled")
        pool.header = try number("header")
        pool.granted = try number("granted")
        pool.share = try number("share")
        pool.limit = try number("limit")
        pool.blockedUntil = try reader.time("blocked until")
        pool.isBanned = try reader.flag("ban")
        for index in 0..<3 {
            pool.demands[index] = Demand(
                weight: try number("demand"), largest: try number("largest order"),
                orders: try number("orders"))
        }
        return pool
    }
}

/// Numbers the reports of a worker and judges grants by them; pure.
///
/// A grant counts only while the report that it answers is young: so a leader that was stopped for a while, or a message that was on its way for
/// long, cannot spend what a later leader has meanwhile given to others.
package struct ReportNumbers: Sendable {
    /// How old the report may be that a grant answers.
    ///
    /// A leader that cannot renew stops 7 s after its last renewal began and another one begins 10 s after it at the earliest.
    package static let patience: Duration = .seconds(2)

    private var last: UInt64 = 0
    private var written: [(number: UInt64, at: Duration)] = []

    package init() {}

    package mutating func next(now: Duration) -> UInt64 {
        last += 1
        written.removeAll { now - $0.at > Self.patience }
        // Reports are many milliseconds apart; this bound is for callers that misbehave.
        if written.count >= 256 { written.removeFirst() }
        written.append((last, now))
        return last
    }

    package func mayTakeGrant(for number: UInt64, now: Duration) -> Bool {
        written.contains { $0.number == number && now - $0.at <= Self.patience }
    }
}
