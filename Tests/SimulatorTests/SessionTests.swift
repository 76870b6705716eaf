import Testing

@testable import exchange_simulator

struct SessionTests {
    private func answer(_ text: String, _ exchange: String = "binance.com") throws -> String {
        let bench = try Bench(exchange)
        let wire = RecordingWire()
        try bench.session(wire, ["btcusdt@depth"]).receive(Array(text.utf8), at: bench.now)
        return wire.lastText
    }

    @Test(arguments: [
        (#"{"method":"SUBSCRIBE","params":["ethusdt@depth@100ms"],"id":1}"#, #"{"result":null,"id":1}"#),
        (#"{"id":"a-1","params":["nonsense@foo"],"method":"SUBSCRIBE"}"#, #"{"result":null,"id":"a-1"}"#),
        (#"{"method":"UNSUBSCRIBE","params":["btcusdt@depth"],"id":null}"#, #"{"result":null,"id":null}"#),
        (#"{"method":"LIST_SUBSCRIPTIONS","id":3}"#, #"{"result":["btcusdt@depth"],"id":3}"#),
        (#"{"method":"SET_PROPERTY","params":["combined",false],"id":4}"#, #"{"result":null,"id":4}"#),
        (#"{"method":"GET_PROPERTY","params":["combined"],"id":5}"#, #"{"result":true,"id":5}"#),
        (
            #"{"method":"SUBSCRIBE","params":[7],"id":6}"#,
            #"{"code":1,"msg":"Invalid value type: expected String","id":6}"#
        ),
        (
            #"{"method":"SUBSCRIBE","id":6}"#,
            #"{"code":2,"msg":"Invalid request: missing field `params`","id":6}"#
        ),
        (#"{"method":"GET_PROPERTY","params":["x"],"id":5}"#, #"{"code":0,"msg":"Unknown property","id":5}"#),
        (#"{"method":"#, #"{"code":3,"msg":"Invalid JSON: expected value at line 1 column 1"}"#),
    ])
    func `control messages are answered in the exchange's words`(_ request: String, _ reply: String) throws {
        #expect(try answer(request) == reply)
    }

    @Test func `a request with an id that is none is refused`() throws {
        let reply = try answer(#"{"method":"LIST_SUBSCRIPTIONS","id":1.5}"#)
        #expect(reply.hasPrefix(#"{"code":2,"msg":"Invalid request: request ID must be"#))
    }

    @Test func `more messages per second than allowed end the connection`() throws {
        var bench = try Bench("binance.com")
        let wire = RecordingWire()
        let session = try bench.session(wire, ["btcusdt@depth@100ms"])
        let message = Array(#"{"method":"LIST_SUBSCRIPTIONS","id":1}"#.utf8)
        for _ in 0..<2 {
            for _ in 0..<5 { session.receive(message, at: bench.now) }
            bench.now += 1_000_000
        }
        #expect(wire.closeCode == nil)
        #expect(wire.texts.count == 10)
        for _ in 0..<6 { session.receive(message, at: bench.now) }
        #expect(wire.closeCode == 1008)
        #expect(bench.engine.watchedMarkets.isEmpty)
    }

    @Test func `more streams than a connection may have are refused as a whole`() throws {
        let bench = try Bench("binance.com-vanilla-options")
        let wire = RecordingWire()
        let session = try bench.session(wire, (0..<199).map { "x\($0)@depth@100ms" })
        session.receive(Array(#"{"method":"SUBSCRIBE","params":["a","b"],"id":1}"#.utf8), at: bench.now)
        #expect(wire.lastText.hasPrefix(#"{"code":2,"#))
        #expect(session.names.count == 199)
        session.receive(Array(#"{"method":"SUBSCRIBE","params":["a"],"id":1}"#.utf8), at: bench.now)
        #expect(wire.lastText == #"{"result":null,"id":1}"#)
    }

    @Test(arguments: ["BTCUSDT@depth@100ms", "btcusdt@depth@500ms", "btcusdt@trade", "nope@depth", "@", ""])
    func `a stream that does not exist is acknowledged and silent`(_ name: String) throws {
        var bench = try Bench("binance.com")
        let wire = RecordingWire()
        let session = try bench.session(wire, [])
        session.receive(Array(#"{"method":"SUBSCRIBE","params":["\#(name)"],"id":1}"#.utf8), at: bench.now)
        bench.run(milliseconds: 2000)
        #expect(wire.lastText == #"{"result":null,"id":1}"#)
        #expect(wire.frames.isEmpty)
    }

    @Test func `after UNSUBSCRIBE nothing comes and the market goes on`() throws {
        var bench = try Bench("binance.com")
        let wire = RecordingWire()
        let session = try bench.session(wire, ["btcusdt@depth@100ms"])
        bench.run(milliseconds: 500)
        session.receive(
            Array(#"{"method":"UNSUBSCRIBE","params":["btcusdt@depth@100ms"],"id":1}"#.utf8), at: bench.now)
        let (count, id) = (wire.frames.count, try bench.market("BTCUSDT").lastID)
        bench.run(milliseconds: 500)
        #expect(wire.frames.count == count)
        #expect(try bench.market("BTCUSDT").lastID > id)
    }

    @Test func `pings come at the exchange's pace and a client that never answers is closed`() throws {
        let bench = try Bench("binance.com")
        let (silent, lively, careless) = (RecordingWire(), RecordingWire(), RecordingWire())
        let sessions = [
            try bench.session(silent, []), try bench.session(lively, []), try bench.session(careless, []),
        ]
        for second in 1...85 {
            let now = bench.now + Int64(second) * 1_000_000
            let seen = lively.pings.count
            for session in sessions { session.keepAlive(at: now) }
            guard lively.pings.count > seen, let payload = lively.pings.last else { continue }
            sessions[1].receivePong(payload, at: now)
            sessions[2].receivePong([1], at: now)
        }
        #expect(lively.pings.count == 4)
        #expect(lively.closeCode == nil)
        #expect(silent.closeCode == 1008)
        #expect(careless.closeCode == 1008)
    }

    @Test func `a client's pings count as messages`() throws {
        let bench = try Bench("binance.com")
        let wire = RecordingWire()
        let session = try bench.session(wire, [])
        for _ in 0..<5 { session.receivePing(at: bench.now) }
        #expect(wire.closeCode == nil)
        session.receivePing(at: bench.now)
        #expect(wire.closeCode == 1008)
    }

    @Test func `a connection ends when its time is over`() throws {
        let bench = try Bench("binance.com-futures")
        let wire = RecordingWire()
        let session = try bench.session(wire, [])
        func keep(until hours: Int64) {
            for minute in (0..<hours * 60) {
                let now = bench.now + minute * 60_000_000
                session.keepAlive(at: now)
                if let payload = wire.pings.last { session.receivePong(payload, at: now) }
            }
        }
        keep(until: 24)
        #expect(wire.closeCode == nil)
        session.keepAlive(at: bench.now + 86_400_000_000)
        #expect(wire.closeCode == 1001)
    }

    @Test func `paths are told apart`() {
        func path(_ path: String, _ query: String = "", _ kind: MarketKind = .spot) -> StreamPath? {
            StreamPath(path, QueryString(query), kind: kind)
        }
        #expect(path("/ws/btcusdt@depth")?.streams == ["btcusdt@depth"])
        #expect(path("/ws")?.isCombined == false)
        #expect(path("/stream", "streams=a@depth/b%40depth")?.streams == ["a@depth", "b@depth"])
        #expect(path("/public/ws", "", .usdMargined)?.carriesDepth == true)
        #expect(path("/market/stream", "", .options)?.carriesDepth == false)
        #expect(path("/ws", "", .usdMargined)?.carriesDepth == true)
        #expect(path("/public/ws") == nil)
        #expect(path("/other") == nil)
        #expect(path("/") == nil)
    }
}
