import Binance
import Books
import CAllocationCount

/// Named figures in the order in which they are printed.
typealias Figures = [(name: String, value: Double)]

/// How fast frames become a book, and what a book costs.
enum BookBenchmark {
    static func run(_ frames: RecordedFrames, passes: Int) throws -> Figures {
        var best = Double.infinity
        var undisturbed = StretchTimes()
        var levels = 0
        var bytes = 0
        let parser = DepthEventParser()
        var event = DepthEvent()
        for _ in 0..<passes {
            var book = SynchronizedBook(
                rule: frames.exchange.sequenceRule, bufferLimit: EventBuffer.Limit(), levelLimit: .max,
                keepsAll: true)
            let arrival = Arrival(instant: ContinuousClock().now, wallMilliseconds: 0)
            if case .fetchSnapshot(let request)? = book.streamOpened(at: arrival.instant) {
                _ = book.receive(frames.snapshot, for: request, coverage: .limit(1000), at: arrival)
            }
            levels = 0
            let passed = try frames.measure { frame in
                _ = try parser.parse(frame, into: &event)
                _ = book.receive(event, at: arrival)
                levels += event.bids.count + event.asks.count
            }
            best = min(best, passed.total)
            undisturbed = passed.best(undisturbed)
        }
        for range in frames.ranges { bytes += range.count }
        return [
            ("ns_per_level", best / Double(levels)),
            ("ns_per_level_undisturbed", undisturbed.total / Double(levels)),
            ("gigabytes_per_second", Double(bytes) / best),
            ("gigabytes_per_second_undisturbed", Double(bytes) / undisturbed.total),
            ("allocations_per_event", try allocationsPerEvent(frames)),
            ("events_per_second", Double(frames.ranges.count) / best * 1e9),
            ("ns_per_event_of_20_levels", try nanosecondsOfTwentyLevels(frames, passes: passes)),
            ("levels", Double(levels)), ("events", Double(frames.ranges.count)),
            ("bytes_of_1000_plus_1000_levels", try bytesOfThousandLevels()),
        ]
    }

    /// Counts over a second pass, when event and book have reached their size.
    private static func allocationsPerEvent(_ frames: RecordedFrames) throws -> Double {
        var book = OrderBook(keepsAll: true)
        try book.load(frames.snapshot, coverage: .limit(1000), receivedTime: 0)
        let parser = DepthEventParser()
        var event = DepthEvent()
        var before: Int?
        for _ in 0..<2 {
            before = nil
            _ = try frames.measure { frame in
                // What `measure` itself takes is taken by now.
                if before == nil { before = callocationcount_value() }
                _ = try parser.parse(frame, into: &event)
                try book.apply(event, receivedTime: 0)
            }
        }
        return Double(callocationcount_value() - (before ?? 0)) / Double(frames.ranges.count)
    }

    /// The undisturbed time of one of the events of 15 to 25 levels, scaled to 20.
    ///
    /// Each frame is timed alone while all are applied; what the clock takes is taken off again.
    private static func nanosecondsOfTwentyLevels(_ frames: RecordedFrames, passes: Int) throws -> Double {
        let parser = DepthEventParser()
        var event = DepthEvent()
        var best = StretchTimes()
        var clock = StretchTimes()
        var counts: [Int] = []
        for _ in 0..<passes {
            var book = OrderBook(keepsAll: true)
            try book.load(frames.snapshot, coverage: .limit(1000), receivedTime: 0)
            counts = []
            counts.reserveCapacity(frames.ranges.count)
            clock = try frames.measure(stretch: 1) { _ in counts.append(0) }.best(clock)
            counts.removeAll(keepingCapacity: true)
            best = try frames.measure(stretch: 1) { frame in
                _ = try parser.parse(frame, into: &event)
                try book.apply(event, receivedTime: 0)
                counts.append(event.bids.count + event.asks.count)
            }.best(best)
        }
        var (levels, nanoseconds) = (0, 0.0)
        for (index, count) in counts.enumerated() where 15...25 ~= count {
            levels += count
            nanoseconds += best.nanoseconds[index] - clock.nanoseconds[index]
        }
        return levels > 0 ? nanoseconds / Double(levels) * 20 : 0
    }

    /// The levels of a book of 1000 + 1000 after its levels were exchanged one by one.
    private static func bytesOfThousandLevels() throws -> Double {
        func level(_ price: Int, _ quantity: Int64) -> PriceLevel {
            PriceLevel(
                price: FixedDecimal(mantissa: Int64(price), scale: 2),
                quantity: FixedDecimal(mantissa: quantity, scale: 5))
        }
        var book = OrderBook()
        let snapshot = BookSnapshot(
            lastID: 1, bids: (1...1000).map { level(100_000 - $0, 7) },
            asks: (1...1000).map { level(100_000 + $0, 7) })
        try book.load(snapshot, coverage: .limit(5001), receivedTime: 0)
        for step in 1...2000 {
            let event = DepthEvent(
                bids: [level(99_000 - step, 5), level(100_000 - step, 0)],
                asks: [level(101_000 + step, 5), level(100_000 + step, 0)])
            try book.apply(event, receivedTime: 0)
        }
        return Double(book.byteCount)
    }
}

/// How fast frames are read, without a book.
enum WireBenchmark {
    static func run(_ frames: RecordedFrames, passes: Int) throws -> Figures {
        let parser = DepthEventParser()
        var event = DepthEvent()
        var best = Double.infinity
        var undisturbed = StretchTimes()
        var levels = 0
        var allocations = 0
        for _ in 0..<passes {
            levels = 0
            let before = callocationcount_value()
            let passed = try frames.measure { frame in
                _ = try parser.parse(frame, into: &event)
                levels += event.bids.count + event.asks.count
            }
            allocations = callocationcount_value() - before
            best = min(best, passed.total)
            undisturbed = passed.best(undisturbed)
        }
        return [
            ("ns_per_level", best / Double(levels)),
            ("ns_per_level_undisturbed", undisturbed.total / Double(levels)),
            ("gigabytes_per_second", Double(frames.bytes.count) / best),
            ("allocations_per_event", Double(allocations) / Double(frames.ranges.count)),
            ("events_per_second", Double(frames.ranges.count) / best * 1e9),
        ]
    }
}
