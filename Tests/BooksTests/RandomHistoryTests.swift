import Testing

@testable import Books

/// The truth about a market: its book after every change.
private struct Market {
    var events: [DepthEvent] = []
    /// Bid quantities by price after the event of the same index; index 0 is before the first.
    var states: [[Int64: Int64]] = [[:]]

    init(rule: SequenceRule, count: Int) {
        var state: [Int64: Int64] = [1: 1]
        states = [state]
        var last: Int64 = 100
        for number in 0..<count {
            let first = rule == .linked ? last + Int64.random(in: 1...3) : last + 1
            let end = first + Int64.random(in: 0...3)
            // One price never goes, so that the book is not empty.
            let price = Int64.random(in: 2...30)
            let quantity = Int64.random(in: 0...3)
            state[price] = quantity == 0 ? nil : quantity
            states.append(state)
            let level = PriceLevel(
                price: FixedDecimal(mantissa: price, scale: 0),
                quantity: FixedDecimal(mantissa: quantity, scale: 0))
            events.append(
                DepthEvent(
                    first: first, last: end, sentPrevious: rule == .linked ? last : nil,
                    eventTime: Int64(number + 1), bids: [level]))
            last = end
        }
    }

    func id(after index: Int) -> Int64 { index == 0 ? 100 : events[index - 1].last }

    func snapshot(after index: Int) -> BookSnapshot {
        let bids = states[index].sorted { $0.key > $1.key }.map {
            PriceLevel(
                price: FixedDecimal(mantissa: $0.key, scale: 0),
                quantity: FixedDecimal(mantissa: $0.value, scale: 0))
        }
        return BookSnapshot(lastID: id(after: index), bids: bids)
    }

    func state(at id: Int64) -> [Int64: Int64]? {
        states.indices.first { self.id(after: $0) == id }.map { states[$0] }
    }
}

struct RandomHistoryTests {
    @Test(arguments: [SequenceRule.contiguous, .linked])
    func `whatever is lost, doubled or swapped, a readable book is the truth at its id`(rule: SequenceRule) {
        let start = ContinuousClock().now
        var reads = 0
        for _ in 0..<150 {
            let market = Market(rule: rule, count: 120)
            var book = SynchronizedBook(rule: rule, bufferLimit: EventBuffer.Limit(events: 20, bytes: 4000))
            var pending: (request: SnapshotRequest, index: Int)?
            var index = 0
            func note(_ action: SyncAction?) {
                if case .fetchSnapshot(let request)? = action {
                    pending = (request, max(0, index - .random(in: 0...4)))
                }
            }
            note(book.streamOpened(at: start))
            while index < market.events.count {
                let arrival = Arrival(instant: start + .milliseconds(index * 10), wallMilliseconds: 0)
                switch Int.random(in: 0..<30) {
                case 0: index += 1
                case 1 where index > 0: note(book.receive(market.events[index - 1], at: arrival).action)
                case 2 where index + 1 < market.events.count:
                    note(book.receive(market.events[index + 1], at: arrival).action)
                    note(book.receive(market.events[index], at: arrival).action)
                    index += 2
                case 3:
                    book.streamClosed()
                    index += .random(in: 0...2)
                    note(book.streamOpened(at: arrival.instant))
                case 4...9:
                    guard let asked = pending else { continue }
                    pending = nil
                    note(
                        book.receive(
                            market.snapshot(after: min(asked.index, market.events.count)), for: asked.request,
                            coverage: .limit(1001), at: arrival))
                default:
                    note(book.receive(market.events[index], at: arrival).action)
                    index += 1
                }
                let seen = book.readIfSynchronized { book in
                    (book.lastID, book.levels(.bids).map { ($0.priceMantissa, $0.quantityMantissa) })
                }
                // Right after a snapshot the book may be older than the feed; it is still true at its own id.
                guard let seen else { continue }
                reads += 1
                #expect(market.state(at: seen.0) == Dictionary(uniqueKeysWithValues: seen.1))
            }
        }
        #expect(reads > 1000)
    }
}
