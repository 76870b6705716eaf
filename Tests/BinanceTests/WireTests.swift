import Books
import Testing

@testable import Binance

struct WireTests {
    private static let fields = [
        "\"e\":\"depthUpdate\"", "\"E\":1723161255208", "\"s\":\"BTCUSDT\"", "\"U\":5", "\"u\":9", "\"pu\":4",
        "\"b\":[[\"61737.63000000\",\"0.00000000\"]]", "\"a\":[ [\"7.1\" , \"72\"],[\"8\",\"1.5\"] ]",
        "\"st\":{\"x\":[1,\"]\"]}",
    ]

    private static func check(_ frame: String) throws {
        var event = DepthEvent()
        guard
            case .depth(let stream, let symbol) = try DepthEventParser().parse(
                Array(frame.utf8), into: &event)
        else {
            Issue.record("expected a depth event: \(frame)")
            return
        }
        let bytes = Array(frame.utf8)
        #expect(stream.isEmpty || String(decoding: bytes[stream], as: UTF8.self) == "btcusdt@depth@100ms")
        #expect(String(decoding: bytes[symbol], as: UTF8.self) == "BTCUSDT")
        #expect(event.first == 5 && event.last == 9 && event.sentPrevious == 4)
        #expect(event.eventTime == 1_723_161_255_208)
        #expect(event.bids.map(\.price.description) == ["61737.63000000"])
        #expect(event.asks.map(\.quantity.description) == ["72", "1.5"])
    }

    @Test func `fields may come in any order, raw and combined`() throws {
        for _ in 0..<200 {
            let data = "{" + Self.fields.shuffled().joined(separator: ",") + "}"
            try Self.check(data)
            try Self.check("{\"stream\":\"btcusdt@depth@100ms\",\"data\":\(data)}")
            try Self.check("{\"data\":\(data), \"stream\":\"btcusdt@depth@100ms\"}\n")
        }
    }

    @Test func `numbers of every length are read as they were sent`() throws {
        let digits = Array("1234567890123456789012")
        let texts = (1...20).flatMap { whole in
            (0...20).map { decimals in
                String(digits[..<whole]) + (decimals > 0 ? "." + String(digits[..<decimals]) : "")
            }
        }
        for text in texts {
            let expected = try? FixedDecimal(text)
            let frame =
                "{\"e\":\"depthUpdate\",\"U\":1,\"u\":2,\"a\":[],"
                + "\"b\":[[\"\(text)\",\"0\(text.dropFirst())\"],[\"1.00\",\"\(text)\"],[\"\(text)\",\"2\"]]}"
            var event = DepthEvent()
            guard let expected else {
                #expect(throws: WireError.self) {
                    try DepthEventParser().parse(Array(frame.utf8), into: &event)
                }
                continue
            }
            _ = try DepthEventParser().parse(Array(frame.utf8), into: &event)
            #expect(event.bids.map(\.price.description) == [text, "1.00", text])
            let leading = try FixedDecimal("0\(text.dropFirst())")
            #expect(event.bids.map(\.quantity) == [leading, expected, FixedDecimal(mantissa: 2, scale: 0)])
        }
    }

    @Test func `damaged frames are errors or other messages, never crashes`() {
        let frame = Array(
            "{\"stream\":\"btcusdt@depth@100ms\",\"data\":{\(Self.fields.joined(separator: ","))}}".utf8)
        var event = DepthEvent()
        for length in 0..<frame.count {
            #expect(throws: WireError.self) {
                try DepthEventParser().parse(Array(frame[..<length]), into: &event)
            }
        }
        for _ in 0..<20_000 {
            var damaged = frame
            for _ in 0..<Int.random(in: 1...4) {
                damaged[Int.random(in: damaged.indices)] = UInt8.random(in: 0...255)
            }
            _ = try? DepthEventParser().parse(damaged, into: &event)
            _ = try? SnapshotParser.parse(damaged)
            _ = try? ExchangeInfo(parsing: damaged)
        }
    }

    @Test func `errors within errors are passed over, however deep`() throws {
        var event = DepthEvent()
        let inner = "{\"code\":-1003,\"error\":{\"code\":5,\"msg\":\"no\"},\"msg\":\"yes\"}"
        let message = try DepthEventParser().parse(Array("{\"error\":\(inner)}".utf8), into: &event)
        #expect(message == .reply(ControlReply(errorCode: -1003, message: "yes")))
        let deep = String(repeating: "{\"error\":", count: 400_000)
        #expect(throws: WireError.self) { try DepthEventParser().parse(Array(deep.utf8), into: &event) }
    }

    @Test(arguments: [
        ("{\"result\":null,\"id\":7}", WireMessage.reply(ControlReply(id: 7))),
        (
            "{\"code\":2,\"msg\":\"Invalid\",\"id\":3}",
            .reply(ControlReply(id: 3, errorCode: 2, message: "Invalid"))
        ),
        ("{\"e\":\"serverShutdown\",\"E\":1}", .serverShutdown),
        ("{\"stream\":\"!serverShutdown\",\"data\":{\"e\":\"serverShutdown\",\"E\":1}}", .serverShutdown),
        ("{\"e\":\"bookTicker\",\"u\":4,\"b\":\"1.0\",\"a\":\"2.0\"}", .other),
    ])
    func `other messages are told apart`(frame: String, message: WireMessage) throws {
        var event = DepthEvent()
        #expect(try DepthEventParser().parse(Array(frame.utf8), into: &event) == message)
    }

    @Test(
        arguments: [
            ("0", 0), ("1790000000000", 1_790_000_000_000), ("1790000000000000", 1_790_000_000_000_000),
            ("9007199254740992", 9_007_199_254_740_992), ("9007199254740993", nil),
            ("9223372036854775807", nil), ("-1", nil), ("-9223372036854775807", nil), ("1.5", nil),
            ("null", nil),
        ] as [(String, Int64?)])
    func `a time that cannot be one is refused where it is read`(text: String, time: Int64?) throws {
        var event = DepthEvent()
        let frame = "{\"e\":\"depthUpdate\",\"E\":\(text),\"U\":1,\"u\":2,\"b\":[],\"a\":[]}"
        let message = try? DepthEventParser().parse(Array(frame.utf8), into: &event)
        #expect((message == nil ? nil : event.eventTime) == time)
        let body = "{\"lastUpdateId\":1,\"E\":\(text),\"bids\":[],\"asks\":[]}"
        #expect((try? SnapshotParser.parse(Array(body.utf8)))?.eventTime == time)
        let info = "{\"serverTime\":\(text),\"symbols\":[]}"
        #expect(try ExchangeInfo(parsing: Array(info.utf8)).serverTime == time)
    }

    @Test func `a snapshot is read whatever the family`() throws {
        let plain =
            "\"asks\":[[\"2\",\"3\"]],\"T\":8,\"bids\":[],\"E\":9,\"lastUpdateId\":167006132946,\"pair\":\"X\""
        for body in ["{\(plain)}", "{\"code\":0,\"msg\":\"\",\"data\":{\(plain)}}"] {
            let snapshot = try SnapshotParser.parse(Array(body.utf8))
            #expect(snapshot.lastID == 167_006_132_946 && snapshot.eventTime == 9)
            #expect(snapshot.asks.count == 1 && snapshot.bids.isEmpty)
        }
        #expect(throws: WireError.missingField("bids")) {
            try SnapshotParser.parse(Array("{\"lastUpdateId\":1,\"asks\":[]}".utf8))
        }
    }

    @Test func `exchangeInfo tells markets, statuses and limits of every family`() throws {
        let body = """
            {"serverTime":5,"rateLimits":[{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":6000}],
            "symbols":[{"symbol":"BTCUSDT","status":"TRADING","filters":[{"a":"}"}]},{"contractStatus":"SETTLING","symbol":"\\u5e01USD"}]}
            """
        let info = try ExchangeInfo(parsing: Array(body.utf8))
        #expect(info.weightPerMinute == 6000 && info.serverTime == 5)
        #expect(info.market("btcusdt")?.isTrading == true)
        #expect(info.market("币USD")?.isTrading == false)
    }

    @Test func `failures are told apart`() {
        func failure(_ status: Int, _ body: String, retry: String? = nil) -> RequestFailure.Remedy {
            RequestFailure(status: status, retryAfter: retry, body: Array(body.utf8), nowMilliseconds: 60_500)
                .remedy
        }
        #expect(failure(400, "{\"code\":-1121,\"msg\":\"Invalid symbol.\"}") == .unknownMarket)
        #expect(failure(400, "{\"code\":-4021,\"msg\":\"x\"}") == .permanent)
        #expect(failure(503, "busy") == .retry)
        #expect(failure(429, "", retry: "7") == .wait(milliseconds: 7000, isBan: false))
        #expect(failure(429, "") == .wait(milliseconds: 60_000, isBan: false))
        #expect(failure(418, "") == .wait(milliseconds: 120_000, isBan: true))
    }

    @Test func `the table names streams, requests and costs`() throws {
        let spot = try #require(ExchangeDirectory()[name: "binance.com"])
        #expect(spot.depthStream("BTCUSDT") == "btcusdt@depth@100ms")
        #expect(spot.depthStream("BTCUSDT", intervalMilliseconds: 1000) == "btcusdt@depth")
        #expect(spot.depthStream("BTCUSDT", intervalMilliseconds: 7) == nil)
        #expect(
            spot.depthRequest(market: "btcusdt", limit: 1000)
                == RESTRequest(
                    url: "https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=1000", weight: 50))
        #expect(spot.cheapestSnapshotLimit == 100)
        #expect(ExchangeDirectory().names.count == 13)
    }

    @Test func `an exchanges file changes what it names and is refused by the key that is wrong`() throws {
        let good = "binance.com:\n  restBaseURL: https://localhost:1/x/\n  weightPerMinute: 10\n"
        let directory = try ExchangeDirectory(overridesYAML: Array(good.utf8))
        #expect(directory[name: "binance.com"]?.restBaseURL == "https://localhost:1/x")
        #expect(directory[name: "binance.com-margin"]?.weightPerMinute == 10)
        for (bad, key) in [
            ("nowhere: {}", "nowhere"), ("binance.com: {speed: 1}", "speed"),
            ("binance.com: {weightPerMinute: x}", "weightPerMinute"), ("binance.us: 3", "binance.us"),
        ] {
            let error = #expect(throws: ExchangeFileError.self) {
                try ExchangeDirectory(overridesYAML: Array(bad.utf8))
            }
            #expect(error?.description.contains(key) == true)
        }
    }

    @Test func `all that is wrong with an exchanges file is said at once, each with its key`() throws {
        let bad = """
            nowhere: {}
            binance.com:
              speed: 1
              weightPerMinute: x
              restBaseURL: https://localhost:1
            binance.us: 3
            trbinance.com: {snapshotLimits: [5, none], caFile: []}
            """
        let error = #expect(throws: ExchangeFileError.self) {
            try ExchangeDirectory(overridesYAML: Array(bad.utf8))
        }
        let problems = try #require(error?.problems)
        let keys = [
            "nowhere", "binance.com.speed", "binance.com.weightPerMinute", "binance.us",
            "trbinance.com.snapshotLimits", "trbinance.com.caFile",
        ]
        #expect(problems.count == keys.count)
        for (problem, key) in zip(problems, keys) { #expect(problem.contains(key)) }
    }

    @Test func `streams are asked for in one message, their names escaped`() {
        let text = SubscriptionMessage.text(.subscribe, ["a", "b"], id: 4)
        #expect(text == Array("{\"method\":\"SUBSCRIBE\",\"params\":[\"a\",\"b\"],\"id\":4}".utf8))
        let odd = SubscriptionMessage.text(.unsubscribe, ["a\"\\\n"], id: 5)
        #expect(odd == Array(#"{"method":"UNSUBSCRIBE","params":["a\"\\"],"id":5}"#.utf8))
    }
}
