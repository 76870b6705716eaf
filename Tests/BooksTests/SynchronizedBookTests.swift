import Testing

@testable import Books

private let start = ContinuousClock().now

private func arrival(_ seconds: Double = 0) -> Arrival {
    Arrival(instant: start + .seconds(seconds), wallMilliseconds: Int64(seconds * 1000))
}

private func level(_ price: Int64, _ quantity: Int64) -> PriceLevel {
    PriceLevel(
        price: FixedDecimal(mantissa: price, scale: 2), quantity: FixedDecimal(mantissa: quantity, scale: 1))
}

private func event(
    _ first: Int64, _ last: Int64, previous: Int64? = nil, time: Int64 = 0, bid: PriceLevel? = nil
) -> DepthEvent {
    DepthEvent(
        first: first, last: last, sentPrevious: previous, eventTime: time, bids: bid.map { [$0] } ?? [])
}

private func snapshot(_ id: Int64) -> BookSnapshot {
    BookSnapshot(lastID: id, bids: [level(1000, 5), level(990, 5)], asks: [level(1010, 5), level(1020, 7)])
}

private func request(_ action: SyncAction?) -> SnapshotRequest? {
    if case .fetchSnapshot(let request)? = action { request } else { nil }
}

struct SynchronizedBookTests {
    private static func synchronized(_ rule: SequenceRule = .contiguous) throws -> SynchronizedBook {
        var book = SynchronizedBook(rule: rule)
        let asked = request(book.streamOpened(at: start))
        let action = try book.receive(
            snapshot(100), for: #require(asked), coverage: .limit(100), at: arrival())
        #expect(action == nil)
        #expect(book.isSynchronized == true)
        return book
    }

    @Test func `nothing can be read before a snapshot`() {
        var book = SynchronizedBook(rule: .contiguous)
        let asked = request(book.streamOpened(at: start))
        #expect(asked?.attempt == 1)
        #expect(book.readIfSynchronized { $0.lastID } == nil)
        #expect(book.receive(event(1, 2), at: arrival()).outcome == .buffered)
        #expect(book.phase == .synchronizing)
    }

    @Test func `on a quiet market the snapshot alone is a valid book`() throws {
        let book = try Self.synchronized()
        #expect(book.readIfSynchronized { $0.lastID } == 100)
    }

    @Test func `waiting events are applied from the one that holds the snapshot on`() throws {
        var book = SynchronizedBook(rule: .contiguous)
        let asked = request(book.streamOpened(at: start))
        for ids in [(90, 95), (96, 103), (104, 104)] {
            _ = book.receive(event(Int64(ids.0), Int64(ids.1), bid: level(1001, 3)), at: arrival())
        }
        #expect(
            try book.receive(snapshot(100), for: #require(asked), coverage: .limit(100), at: arrival()) == nil
        )
        #expect(book.readIfSynchronized { $0.lastID } == 104)
        #expect(book.counts.ignored == 1 && book.counts.applied == 2)
        #expect(book.readIfSynchronized { $0.bids.best } == level(1001, 3))
    }

    @Test func `a snapshot older than the first event is fetched again and the buffer is kept`() throws {
        var book = SynchronizedBook(rule: .contiguous)
        let asked = request(book.streamOpened(at: start))
        _ = book.receive(event(110, 112), at: arrival())
        let again = try request(
            book.receive(snapshot(100), for: #require(asked), coverage: .limit(100), at: arrival()))
        #expect(again?.attempt == 2 && again?.reason == .snapshotTooOld)
        #expect(book.isSynchronized == false)
        #expect(book.resyncCount == 0 && book.counts.staleSnapshots == 1)
        #expect(
            try book.receive(snapshot(109), for: #require(again), coverage: .limit(100), at: arrival()) == nil
        )
        #expect(book.readIfSynchronized { $0.lastID } == 112)
    }

    @Test func `a gap ends synchronisation at once`() throws {
        var book = try Self.synchronized()
        #expect(book.receive(event(101, 101), at: arrival()).outcome == .applied)
        let (_, action) = book.receive(event(103, 104), at: arrival())
        #expect(request(action)?.reason == .gap)
        #expect(book.phase == .resyncing && book.reason == .gap)
        #expect(book.bufferedEvents == 1)
    }

    @Test func `a duplicate is ignored`() throws {
        var book = try Self.synchronized()
        _ = book.receive(event(101, 105, time: 5), at: arrival())
        for second in 0..<10 {
            #expect(book.receive(event(101, 105, time: 5), at: arrival(Double(second))).outcome == .ignored)
        }
        #expect(book.isSynchronized == true)
    }

    @Test func `in linked families a first event that ends at the snapshot is applied`() throws {
        var book = try Self.synchronized(.linked)
        #expect(book.receive(event(98, 100, previous: 95), at: arrival()).outcome == .applied)
        #expect(book.receive(event(98, 100, previous: 95), at: arrival()).outcome == .ignored)
        #expect(book.receive(event(108, 110, previous: 100), at: arrival()).outcome == .applied)
        #expect(request(book.receive(event(115, 116, previous: 111), at: arrival()).action)?.reason == .gap)
    }

    @Test func `an event whose ids are not in order is malformed`() throws {
        var book = try Self.synchronized(.linked)
        let (outcome, action) = book.receive(event(106, 105, previous: 100), at: arrival())
        #expect(outcome == .dropped)
        #expect(request(action)?.reason == .malformedData)
        var waiting = SynchronizedBook(rule: .linked)
        _ = waiting.streamOpened(at: start)
        #expect(
            request(waiting.receive(event(106, 105, previous: 100), at: arrival()).action)?.reason
                == .malformedData)
    }

    @Test func `an event without its link is malformed`() throws {
        var book = try Self.synchronized(.linked)
        #expect(request(book.receive(event(101, 102), at: arrival()).action)?.reason == .malformedData)
    }

    @Test func `three newer events with older ids mean that the ids began anew`() throws {
        var book = try Self.synchronized()
        _ = book.receive(event(101, 105, time: 10), at: arrival())
        #expect(book.receive(event(1, 1, time: 11), at: arrival()).action == nil)
        #expect(book.receive(event(2, 2, time: 12), at: arrival()).action == nil)
        let asked = request(book.receive(event(3, 3, time: 13), at: arrival()).action)
        #expect(asked?.reason == .regression && asked?.needsExchange == true)
    }

    @Test func `one newer event with older ids is borne for two seconds`() throws {
        var book = try Self.synchronized()
        _ = book.receive(event(101, 105, time: 10), at: arrival())
        _ = book.receive(event(1, 1, time: 11), at: arrival(1))
        #expect(book.tick(at: arrival(2.9).instant) == nil)
        #expect(request(book.tick(at: arrival(3).instant))?.reason == .regression)
    }

    @Test func `ids that begin anew while a snapshot is awaited do not ask for snapshots for ever`() throws {
        var book = SynchronizedBook(rule: .contiguous)
        let asked = request(book.streamOpened(at: start))
        _ = book.receive(event(1000, 1005, time: 10), at: arrival())
        var newest = asked
        for id in 1...3 {
            let time = Int64(10 + id)
            let action = book.receive(event(Int64(id), Int64(id), time: time), at: arrival()).action
            newest = request(action) ?? newest
        }
        #expect(
            try book.receive(snapshot(2), for: #require(newest), coverage: .limit(100), at: arrival()) == nil)
        #expect(book.readIfSynchronized { $0.lastID } == 3)
    }

    @Test func `what the event asks for that ends the wait at a gap is not lost`() throws {
        var book = try Self.synchronized()
        book.feedCount = 2
        // Behind a gap: an id and then older ones with newer times, each by itself too little to say that ids began anew.
        for (id, time) in [(120, 10), (106, 11), (108, 12)] as [(Int64, Int64)] {
            #expect(book.receive(event(id, id, time: time), from: 0, at: arrival()).outcome == .buffered)
        }
        let later = arrival(0.6)
        let asked = request(book.receive(event(109, 109, time: 13), from: 0, at: later).action)
        #expect(asked?.reason == .regression)
        let again = try book.receive(snapshot(108), for: #require(asked), coverage: .limit(100), at: later)
        #expect(again == nil)
        #expect(book.readIfSynchronized { $0.lastID } == 109)
    }

    @Test func `a feed that stays behind its snapshot for five seconds is not believed`() throws {
        var book = try Self.synchronized()
        #expect(book.receive(event(50, 51), at: arrival(5)).action == nil)
        #expect(request(book.receive(event(52, 53), at: arrival(5.1)).action)?.reason == .feedBehind)
    }

    @Test func `a disconnect makes earlier snapshots worthless`() throws {
        var book = SynchronizedBook(rule: .contiguous)
        let asked = request(book.streamOpened(at: start))
        book.streamClosed(.connectionSilent)
        #expect(book.reason == .connectionSilent && book.phase == .connecting)
        #expect(book.receive(event(1, 2), at: arrival()).outcome == .dropped)
        let newer = request(book.streamOpened(at: start))
        #expect(
            try book.receive(snapshot(100), for: #require(asked), coverage: .limit(100), at: arrival()) == nil
        )
        #expect(book.isSynchronized == false)
        #expect(
            try book.receive(snapshot(100), for: #require(newer), coverage: .limit(100), at: arrival()) == nil
        )
        #expect(book.isSynchronized == true)
    }

    @Test func `an overflowing buffer is dropped and only a later snapshot will do`() throws {
        var book = SynchronizedBook(
            rule: .contiguous, bufferLimit: EventBuffer.Limit(events: 3, bytes: 10_000))
        let asked = request(book.streamOpened(at: start))
        for id in 101...105 { _ = book.receive(event(Int64(id), Int64(id)), at: arrival()) }
        #expect(book.reason == .bufferOverflow)
        let again = try request(
            book.receive(snapshot(100), for: #require(asked), coverage: .limit(100), at: arrival()))
        #expect(again != nil)
        #expect(
            try book.receive(snapshot(104), for: #require(again), coverage: .limit(100), at: arrival()) == nil
        )
        #expect(book.readIfSynchronized { $0.lastID } == 105)
    }

    @Test func `after an overflow a snapshot from before the last event will not do`() throws {
        var book = SynchronizedBook(
            rule: .contiguous, bufferLimit: EventBuffer.Limit(events: 3, bytes: 10_000))
        let asked = request(book.streamOpened(at: start))
        for id in 101...104 { _ = book.receive(event(Int64(id), Int64(id)), at: arrival()) }
        let again = try request(
            book.receive(snapshot(100), for: #require(asked), coverage: .limit(100), at: arrival()))
        #expect(again?.reason == .snapshotTooOld)
        #expect(book.isSynchronized == false)
    }

    @Test func `a book that grows past its limit gives up its worst levels and says so`() throws {
        var book = SynchronizedBook(rule: .contiguous, levelLimit: 16)
        let asked = request(book.streamOpened(at: start))
        _ = try book.receive(snapshot(100), for: #require(asked), coverage: .whole, at: arrival())
        for id in Int64(101)...120 {
            _ = book.receive(event(id, id, bid: level(980 - id, 1)), at: arrival())
            #expect(book.readIfSynchronized { $0.bids.count <= 16 } == true)
        }
        #expect(book.readIfSynchronized { $0.bids.isWhole || $0.bids.count < 8 } == false)
    }

    @Test func `a book that is emptied by an event is not answered from until its market is known to trade`()
        throws
    {
        var book = try Self.synchronized()
        var change = event(101, 101)
        change.bids = [level(1000, 0), level(990, 0)]
        change.asks = [level(1010, 0), level(1020, 0)]
        #expect(book.receive(change, at: arrival()).action == .askMarketStatus)
        #expect(book.isSynchronized == false && book.reason == .emptyBook)
        #expect(request(book.marketStatus(isTrading: true)) != nil)
    }

    @Test func `what waits is kept while an empty snapshot is asked about`() throws {
        var book = SynchronizedBook(rule: .contiguous)
        let asked = request(book.streamOpened(at: start))
        _ = book.receive(event(10, 12), at: arrival())
        #expect(
            try book.receive(
                BookSnapshot(lastID: 5), for: #require(asked), coverage: .limit(100), at: arrival())
                == .askMarketStatus)
        let again = request(book.marketStatus(isTrading: true))
        _ = try book.receive(snapshot(11), for: #require(again), coverage: .limit(100), at: arrival())
        #expect(book.readIfSynchronized { $0.lastID } == 12)
    }

    @Test func `old ids between new ones are no regression, however many`() throws {
        var book = try Self.synchronized()
        for round in Int64(0)..<5 {
            let time = 10 + 2 * round
            #expect(
                book.receive(event(101 + round, 101 + round, time: time), at: arrival()).outcome == .applied)
            #expect(book.receive(event(90, 95, time: time + 1), at: arrival()).outcome == .ignored)
        }
        #expect(book.receive(event(106, 106, time: 30), at: arrival()).outcome == .applied)
        #expect(book.tick(at: arrival(5).instant) == nil)
        #expect(book.isSynchronized == true)
    }

    @Test func `two empty sides lead to a question, and to failure when the market does not trade`() throws {
        var book = SynchronizedBook(rule: .contiguous)
        let asked = request(book.streamOpened(at: start))
        let empty = BookSnapshot(lastID: 5)
        #expect(
            try book.receive(empty, for: #require(asked), coverage: .limit(100), at: arrival())
                == .askMarketStatus)
        #expect(book.marketStatus(isTrading: false) == nil)
        #expect(book.phase == .failed && book.reason == .marketNotTrading)
        #expect(book.receive(event(6, 6), at: arrival()).outcome == .dropped)
        let again = request(book.marketStatus(isTrading: true))
        #expect(
            try book.receive(snapshot(9), for: #require(again), coverage: .limit(100), at: arrival()) == nil)
        #expect(book.isSynchronized == true)
    }

    @Test func `an empty market that trades is a valid empty book`() throws {
        var book = SynchronizedBook(rule: .contiguous)
        let asked = request(book.streamOpened(at: start))
        let empty = BookSnapshot(lastID: 5)
        #expect(
            try book.receive(empty, for: #require(asked), coverage: .limit(100), at: arrival())
                == .askMarketStatus)
        let again = request(book.marketStatus(isTrading: true))
        #expect(try book.receive(empty, for: #require(again), coverage: .limit(100), at: arrival()) == nil)
        #expect(book.readIfSynchronized { $0.isEmpty } == true)
    }

    @Test func `a best price past the coverage is out of sync and never an empty answer`() throws {
        var book = SynchronizedBook(rule: .contiguous)
        let asked = request(book.streamOpened(at: start))
        _ = try book.receive(snapshot(100), for: #require(asked), coverage: .limit(2), at: arrival())
        #expect(book.isSynchronized == true)
        var change = event(101, 101)
        change.bids = [level(1000, 0), level(990, 0), level(980, 4)]
        #expect(request(book.receive(change, at: arrival()).action)?.reason == .coverageExhausted)
        #expect(book.readIfSynchronized { $0.bids.count } == nil)
    }

    @Test func `resyncs that follow each other closely ask later and later, until the book was calm`() throws
    {
        var book = try Self.synchronized()
        var attempts: [Int] = []
        for second in 1...4 {
            let now = arrival(Double(second))
            let asked = try #require(request(book.receive(event(200, 200), at: now).action))
            attempts.append(asked.attempt)
            #expect(book.receive(snapshot(200), for: asked, coverage: .limit(100), at: now) == nil)
            _ = book.receive(event(150, 150), at: now)
            let again = try #require(request(book.invalidate(.malformedData)))
            attempts.append(again.attempt)
            #expect(book.receive(snapshot(100), for: again, coverage: .limit(100), at: now) == nil)
        }
        #expect(attempts == [1, 2, 3, 4, 5, 6, 7, 8])
        #expect(book.tick(at: arrival(34).instant) == nil)
        #expect(request(book.receive(event(300, 300), at: arrival(35)).action)?.attempt == 1)
    }

    @Test func `garbage while a snapshot is awaited does not make the next one come sooner`() throws {
        var book = SynchronizedBook(rule: .linked)
        _ = book.streamOpened(at: start)
        let attempts = (1...3).compactMap { _ in
            request(book.receive(event(1, 2), at: arrival()).action)?.attempt
        }
        #expect(attempts == [2, 3, 4])
    }

    @Test func `a suspended book is followed but not read`() throws {
        var book = try Self.synchronized()
        book.suspend()
        #expect(book.reason == .loopStalled && book.phase == .resyncing)
        #expect(book.receive(event(101, 102), at: arrival()).outcome == .applied)
        #expect(book.readIfSynchronized { $0.lastID } == nil)
        book.resume()
        #expect(book.readIfSynchronized { $0.lastID } == 102)
    }

    @Test func `a crossed book must heal with the next event`() throws {
        var book = try Self.synchronized()
        #expect(book.receive(event(101, 101, bid: level(1010, 1)), at: arrival()).action == nil)
        #expect(book.receive(event(102, 102, bid: level(1010, 0)), at: arrival()).action == nil)
        _ = book.receive(event(103, 103, bid: level(1010, 1)), at: arrival())
        #expect(request(book.receive(event(104, 104), at: arrival()).action)?.reason == .crossedBook)
    }

    @Test func `a crossed book that nothing follows on is borne for a moment only`() throws {
        var book = try Self.synchronized()
        _ = book.receive(event(101, 101, bid: level(1010, 1)), at: arrival())
        for seconds in [1, 3.9] { #expect(book.tick(at: start + .seconds(seconds)) == nil) }
        _ = book.receive(event(102, 102, bid: level(1010, 0)), at: arrival(3.95))
        _ = book.receive(event(103, 103, bid: level(1010, 1)), at: arrival(4))
        #expect(book.tick(at: start + .seconds(5)) == nil)
        #expect(request(book.tick(at: start + .seconds(8)))?.reason == .crossedBook)
    }

    @Test func `a book that the exchange itself shows crossed is served as it is shown`() throws {
        var book = SynchronizedBook(rule: .contiguous)
        let asked = try #require(request(book.streamOpened(at: start)))
        let crossed = BookSnapshot(lastID: 100, bids: [level(1010, 5)], asks: [level(1010, 5)])
        #expect(book.receive(crossed, for: asked, coverage: .limit(100), at: arrival()) == nil)
        for seconds in [1, 60] { #expect(book.tick(at: start + .seconds(seconds)) == nil) }
    }

    @Test func `a stream that was behind leaves a book for which only the exchange will do`() throws {
        var book = try Self.synchronized()
        book.streamClosed(.feedBehind)
        let asked = try #require(request(book.streamOpened(at: start)))
        #expect(asked.reason == .feedBehind && asked.needsExchange)
    }

    @Test(arguments: [OutOfSyncReason.regression, .feedBehind, .crossedBook, .auditMismatch])
    func `until the book is live again only the exchange will do, though its snapshot was too old`(
        reason: OutOfSyncReason
    ) throws {
        var book = try Self.synchronized()
        let first = try #require(request(book.invalidate(reason)))
        #expect(first.needsExchange)
        _ = book.receive(event(110, 111), at: arrival())
        let second = try #require(
            request(book.receive(snapshot(100), for: first, coverage: .limit(1000), at: arrival())))
        #expect(second.reason == .snapshotTooOld && second.needsExchange)
        let third = try #require(request(book.snapshotFailed(second)))
        #expect(third.needsExchange)
        #expect(book.receive(snapshot(110), for: third, coverage: .limit(1000), at: arrival()) == nil)
        #expect(request(book.invalidate(.gap))?.needsExchange == false)
    }
}
