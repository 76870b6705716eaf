import Binance
import Telemetry
import Testing
import Transport

@testable import Worker

struct FeedMachineTests {
    /// An open machine with `count` wanted streams at time zero.
    private func open(_ count: Int, settings: FeedMachine.Settings = .init()) -> FeedMachine {
        var machine = FeedMachine(settings: settings)
        for index in 0..<count { machine.add("s\(index)") }
        #expect(machine.tick(now: .zero) == [.connect])
        machine.opened(now: .zero)
        return machine
    }

    /// An open machine whose only stream is acknowledged.
    private func acknowledged() -> FeedMachine {
        var machine = open(1)
        _ = machine.replied(id: sends(machine.tick(now: .zero))[0].1, error: nil, now: .zero)
        return machine
    }

    private func sends(_ actions: [FeedMachine.Action]) -> [(FeedMachine.Method, Int64, [String])] {
        actions.compactMap {
            if case .send(let method, let id, let streams) = $0 { (method, id, streams) } else { nil }
        }
    }

    @Test func `nothing wanted means no connection`() {
        var machine = FeedMachine()
        #expect(machine.tick(now: .seconds(5)).isEmpty)
    }

    @Test func `streams are subscribed in batches and never faster than the message limit allows`() {
        var machine = open(1000)
        var sent: [Duration] = []
        var seen: Set<String> = []
        for step in 0..<60 {
            let now = Duration.milliseconds(100 * step)
            machine.received(now: now)
            for action in machine.tick(now: now) {
                sent.append(now)
                guard case .send(.subscribe, let id, let streams) = action else { continue }
                #expect(streams.count <= 200)
                seen.formUnion(streams)
                #expect(machine.replied(id: id, error: nil, now: now) == [.subscribed(streams)])
            }
        }
        #expect(seen.count == 1000)
        for time in sent { #expect(sent.count { $0 > time - .seconds(1) && $0 <= time } <= 4) }
    }

    @Test func `a ping leaves every five seconds and ten silent seconds end the connection`() {
        var machine = open(1)
        let id = sends(machine.tick(now: .zero))[0].1
        _ = machine.replied(id: id, error: nil, now: .zero)
        #expect(machine.tick(now: .milliseconds(4999)).isEmpty)
        #expect(machine.tick(now: .seconds(5)) == [.ping])
        #expect(machine.tick(now: .milliseconds(9999)).isEmpty)
        #expect(machine.tick(now: .seconds(10)) == [.close(.silent(.seconds(10)))])
        machine.closed(now: .seconds(10))
        #expect(machine.tick(now: .seconds(10)).isEmpty)
        #expect(machine.tick(now: .seconds(11)) == [.connect])
    }

    @Test func `after a reconnect every wanted stream is subscribed again`() {
        var machine = open(3)
        let first = sends(machine.tick(now: .zero))[0]
        _ = machine.replied(id: first.1, error: nil, now: .zero)
        machine.remove("s1")
        machine.closed(now: .seconds(1))
        #expect(machine.tick(now: .seconds(2)) == [.connect])
        machine.opened(now: .seconds(2))
        #expect(sends(machine.tick(now: .seconds(2)))[0].2 == ["s0", "s2"])
    }

    @Test
    func `an unwanted stream is unsubscribed and a stream that comes back meanwhile is subscribed anew`() {
        var machine = open(2)
        _ = machine.replied(id: sends(machine.tick(now: .zero))[0].1, error: nil, now: .zero)
        machine.remove("s0")
        let leave = sends(machine.tick(now: .seconds(2)))[0]
        #expect(leave.0 == .unsubscribe && leave.2 == ["s0"])
        machine.add("s0")
        #expect(machine.replied(id: leave.1, error: nil, now: .seconds(2)).isEmpty)
        let back = sends(machine.tick(now: .seconds(3)))[0]
        #expect(back.0 == .subscribe && back.2 == ["s0"])
    }

    @Test func `a stream that comes back before it has left is said to be acknowledged at once`() {
        var machine = open(2)
        _ = machine.replied(id: sends(machine.tick(now: .zero))[0].1, error: nil, now: .zero)
        machine.remove("s0")
        machine.add("s0")
        #expect(machine.tick(now: .milliseconds(100)) == [.subscribed(["s0"])])
        #expect(machine.tick(now: .milliseconds(200)).isEmpty)
        machine.renew("s0")
        machine.remove("s0")
        machine.add("s0")
        let off = machine.tick(now: .seconds(2))
        #expect(sends(off).map(\.0) == [.unsubscribe] && off.count == 1)
    }

    @Test func `a refused batch is asked for one by one until the culprit is named`() {
        var machine = open(2)
        let batch = sends(machine.tick(now: .zero))[0]
        #expect(machine.replied(id: batch.1, error: (2, "Invalid request"), now: .zero).isEmpty)
        var refused: [FeedMachine.Action] = []
        for second in 1..<9 {
            machine.received(now: .seconds(second))
            for (_, id, streams) in sends(machine.tick(now: .seconds(second))) {
                #expect(streams.count == 1)
                let error = streams == ["s1"] ? (code: 2, message: "Invalid request") : nil
                refused += machine.replied(id: id, error: error, now: .seconds(second))
            }
        }
        #expect(refused.contains(.refused(stream: "s1", code: 2, message: "Invalid request")))
        #expect(refused.contains(.subscribed(["s0"])))
        #expect(refused.count == 2)
    }

    @Test func `a dead stream is taken off the wire and put back`() {
        var machine = open(1)
        _ = machine.replied(id: sends(machine.tick(now: .zero))[0].1, error: nil, now: .zero)
        machine.renew("s0")
        let off = sends(machine.tick(now: .seconds(2)))
        #expect(off.map(\.0) == [.unsubscribe])
        _ = machine.replied(id: off[0].1, error: nil, now: .seconds(2))
        #expect(sends(machine.tick(now: .seconds(4))).map(\.0) == [.subscribe])
    }

    @Test func `a stream that is not acknowledged yet is not asked for twice when it is found dead`() {
        var machine = open(1)
        let on = sends(machine.tick(now: .zero))[0]
        machine.renew("s0")
        #expect(machine.replied(id: on.1, error: nil, now: .zero) == [.subscribed(["s0"])])
        #expect(machine.tick(now: .seconds(2)).isEmpty)
        machine.closed(now: .seconds(3))
        machine.renew("s0")
        #expect(machine.tick(now: .seconds(4)) == [.connect])
        machine.opened(now: .seconds(4))
        let again = sends(machine.tick(now: .seconds(4)))[0]
        #expect(machine.replied(id: again.1, error: nil, now: .seconds(4)) == [.subscribed(["s0"])])
        #expect(machine.tick(now: .seconds(6)).isEmpty)
    }

    @Test(arguments: [true, false])
    func `a connection that says or acknowledges nothing is opened again later and later`(isSilent: Bool) {
        var machine = FeedMachine()
        machine.add("s")
        var now = Duration.zero
        for attempt in 0..<5 {
            #expect(machine.tick(now: now) == [.connect])
            machine.opened(now: now)
            #expect(sends(machine.tick(now: now)).map(\.0) == [.subscribe])
            if !isSilent { machine.received(now: now + .milliseconds(9900)) }
            now += .seconds(10)
            let end = isSilent ? FeedEnd.silent(.seconds(10)) : .notAcknowledged
            #expect(machine.tick(now: now) == [.close(end)])
            machine.closed(now: now)
            guard case .waiting(let until) = machine.connection else { return #expect(Bool(false)) }
            #expect(until - now >= .milliseconds(250) * (1 << attempt))
            now = until
        }
    }

    @Test func `a subscription without an answer ends the connection`() {
        var machine = open(1)
        _ = machine.tick(now: .zero)
        machine.received(now: .seconds(9))
        #expect(machine.tick(now: .seconds(10)) == [.close(.notAcknowledged)])
    }

    @Test func `a connection that lived is opened again at once and one that did not waits longer each time`()
    {
        var machine = open(500)
        for (_, id, _) in sends(machine.tick(now: .zero)) {
            _ = machine.replied(id: id, error: nil, now: .zero)
        }
        machine.received(now: .seconds(10))
        #expect(machine.tick(now: .seconds(10)) == [.ping])
        machine.closed(now: .seconds(10))
        #expect(machine.tick(now: .milliseconds(10_250)) == [.connect])
        machine.opened(now: .milliseconds(10_500))
        #expect(sends(machine.tick(now: .milliseconds(10_500))).map(\.2.count) == [200, 200, 100])
        machine.closed(now: .seconds(11))
        #expect(machine.tick(now: .milliseconds(11_249)).isEmpty)
        #expect(machine.tick(now: .milliseconds(11_500)) == [.connect])
        machine.opened(now: .milliseconds(11_600))
        machine.closed(now: .seconds(12))
        #expect(machine.tick(now: .milliseconds(12_499)).isEmpty)
    }

    @Test
    func `a replacement is asked for at a time of its own before the exchange's limit, and again later`() {
        var starts: Set<Duration> = []
        for _ in 0..<20 {
            var machine = acknowledged()
            var now = Duration.seconds(23 * 3600 + 1200 - 1)
            machine.received(now: now)
            #expect(!machine.tick(now: now).contains(.replace(.lifetime)))
            while now <= .seconds(23 * 3600 + 1800) {
                machine.received(now: now)
                if machine.tick(now: now).contains(.replace(.lifetime)) { break }
                now += .seconds(1)
            }
            starts.insert(now)
            #expect(now <= .seconds(23 * 3600 + 1800))
            machine.received(now: now + .seconds(90))
            #expect(!machine.tick(now: now + .seconds(89)).contains(.replace(.lifetime)))
            #expect(machine.tick(now: now + .seconds(90)).contains(.replace(.lifetime)))
        }
        #expect(starts.count > 5)
    }

    @Test func `an announced shutdown replaces at once, but not a connection that has only begun`() {
        var machine = acknowledged()
        machine.mustBeReplaced(.serverShutdown, now: .seconds(1))
        #expect(!machine.tick(now: .milliseconds(4999)).contains(.replace(.serverShutdown)))
        #expect(machine.tick(now: .seconds(5)).contains(.replace(.serverShutdown)))
        machine.received(now: .seconds(60))
        machine.mustBeReplaced(.serverShutdown, now: .seconds(60))
        #expect(machine.tick(now: .seconds(60)).contains(.replace(.serverShutdown)))
    }

    @Test func `connection attempts wait longer each time and hold back when the shared limit is reached`() {
        var machine = FeedMachine()
        machine.add("s")
        var now = Duration.zero
        #expect(machine.tick(now: now, mayConnect: false).isEmpty)
        #expect(machine.tick(now: now) == [.connect])
        for attempt in 0..<10 {
            machine.closed(now: now)
            guard case .waiting(let until) = machine.connection else { return #expect(Bool(false)) }
            let whole = min(Duration.seconds(30), .milliseconds(500) * (1 << attempt))
            #expect(until - now <= whole && until - now >= whole / 2)
            now = until
            #expect(machine.tick(now: now) == [.connect])
        }
    }
}

/// How many connections a worker may begin to make.
struct ConnectionAttemptTests {
    @Test(arguments: [(1, 20, 40, 60), (8, 13, 25, 37), (14, 7, 14, 21), (300, 4, 7, 10)])
    func `each worker has its part, and planned replacements leave two thirds of it`(
        workers: Int, planned: Int, announced: Int, all: Int
    ) throws {
        let exchange = try #require(ExchangeDirectory()[name: "binance.com"])
        let weight = Guarded(RequestWeight(limitPerMinute: 1200, isShared: true))
        let now = WallClock.milliseconds
        weight.withLock {
            $0.grant(100, minute: RequestWeight.minute(now), workers: workers, nowMilliseconds: now)
        }
        let metrics = MetricRegistry()
        let desk = SnapshotDesk(
            exchange: exchange, http: try HTTPClient(), weight: weight, clock: WorkerClock(), metrics: metrics
        )
        let venue = Venue(exchange: exchange, desk: desk, metrics: metrics)
        var made: [Int] = []
        for reserve in [40, 20, 0] {
            var count = made.last ?? 0
            while venue.mayConnect(now: .zero, reserve: reserve) {
                venue.tookAttempt(now: .zero)
                count += 1
            }
            made.append(count)
        }
        #expect(made == [planned, announced, all])
    }
}
