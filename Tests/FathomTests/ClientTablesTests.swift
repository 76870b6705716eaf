import DepthCacheAPI
import K8sClient
import Testing

@testable import fathom

@Suite struct `tables of the command line` {
    @Test func `a terminal gets columns, a program tabs`() {
        let table = TextTable(
            titles: ["MARKET", "BID"], rows: [["BTC", "1.5"], ["LONGER-NAME", "10.25"]], rightAligned: [1])
        #expect(table.padded == ["MARKET         BID", "BTC            1.5", "LONGER-NAME  10.25"])
        #expect(table.tabbed == ["MARKET\tBID", "BTC\t1.5", "LONGER-NAME\t10.25"])
        #expect(TextTable(titles: ["A"], rows: [["x\ty\nz"]]).tabbed == ["A", "x y z"])
    }

    @Test(arguments: [
        (0.0, "0s"), (119, "119s"), (120, "2m"), (7199, "119m"), (7200, "2h"), (172_800, "2d"), (-3, "0s"),
    ])
    func `ages are said as kubectl says them`(seconds: Double, text: String) {
        #expect(Age.text(seconds: seconds) == text)
    }

    private func side(_ side: String, _ levels: String, more: String = "") throws -> SideAnswer {
        let text =
            #"{"\#(side)":[\#(levels)],"covered_levels":500,"covered_to":1.0,\#(more)"result":"OK","update_id":7}"#
        return try SideAnswer(Array(text.utf8), side)
    }

    @Test func `levels keep every digit that the gateway sent`() throws {
        let asks = try side("asks", "[12345678901.12345678,0.00000001],[2.0, 30.0]")
        #expect(
            asks.levels == [
                .init(price: "12345678901.12345678", quantity: "0.00000001"),
                .init(price: "2.0", quantity: "30.0"),
            ])
        #expect(asks.updateID == 7)
        #expect(!asks.isWhole)
        #expect(try side("bids", "").levels.isEmpty)
    }

    @Test func `an answer that says no is an error with its id`() {
        let text = ##"{"error_id":"#6000","message":"not in sync","result":"ERROR"}"##
        let error = #expect(throws: GatewayAccess.Refusal.self) { try SideAnswer(Array(text.utf8), "asks") }
        #expect(error?.description == "not in sync (#6000)")
    }

    @Test func `a spread is exact, also between numbers of different lengths`() {
        #expect(BookAnswer.difference("100.1", "99.95") == "0.15")
        #expect(BookAnswer.difference("12345678901.12345678", "12345678901.12345677") == "0.00000001")
        #expect(BookAnswer.difference("1.0", "1.5") == "-0.5")
        #expect(BookAnswer.difference("abc", "1") == nil)
    }

    @Test func `a ladder has the best prices in the middle and its points below each other`() throws {
        let book = BookAnswer(
            exchange: "binance.com", market: "BTCUSDT",
            asks: try side("asks", "[100.5,1.0],[101.25,20.0]", more: "\"received_time\":8000,"),
            bids: try side("bids", "[99.5,10.0],[9.0,0.125]", more: "\"received_time\":6000,"))
        #expect(
            Ladder.lines(book, now: 10) == [
                "binance.com BTCUSDT   age 4s   coverage 500 levels", "",
                "ask  101.25  20.000  ##############################",
                "ask  100.50   1.000  ##",
                "     spread 1.0 (100.50 bp)",
                "bid   99.50  10.000  ###############",
                "bid    9.00   0.125  #",
            ])
        #expect(Ladder.table(book).rows.map { $0[1] } == ["101.25", "100.5", "99.5", "9.0"])
    }

    @Test func `an empty side has no spread, and a side that is whole bounds nothing`() throws {
        var book = BookAnswer(
            exchange: "e", market: "m", asks: try side("asks", ""), bids: try side("bids", "[1.0,1.0]"))
        #expect(book.spread == nil)
        #expect(Ladder.lines(book, now: 0).contains("     spread -"))
        book.bids.isWhole = true
        #expect(book.coverage == "500")
        book.asks.isWhole = true
        #expect(book.coverage == "whole")
    }

    @Test func `a spread that is too wide for basis points is shown without them`() throws {
        let book = BookAnswer(
            exchange: "e", market: "m", asks: try side("asks", "[100000.0,1.0]"),
            bids: try side("bids", "[0.00000001,1.0]"))
        #expect(Ladder.lines(book, now: 0).contains("     spread 99999.99999999"))
        let cache = CacheList.Row(
            exchange: "e", market: "m", wanted: 1, ready: 1, state: .ready, created: 0)
        let cells = TopTable.Row(cache: cache, book: .success(book)).cells(now: 0)
        #expect(cells[4...5] == ["99999.99999999", "-"])
    }

    @Test(
        arguments: [(0, "0.00"), (-0.5, "-0.50"), (12.345_678, "12.35"), (1e17, nil), (Double.nan, nil)]
            as [(Double, String?)])
    func `numbers for people have two decimals`(number: Double, text: String?) {
        #expect(Ladder.rounded(number) == text)
    }

    private func cache(_ conditions: [(String, Bool, String)], ready: Int) -> DepthCache {
        DepthCache(
            metadata: ObjectMeta(name: "n"),
            spec: DepthCacheSpec(exchange: "binance.com", market: "BTCUSDT", replicas: 2),
            status: DepthCacheStatus(
                readyReplicas: ready,
                conditions: conditions.map { type, holds, reason in
                    Condition(
                        type: type, status: .init(holds), reason: reason, message: "why",
                        observedGeneration: 1,
                        lastTransitionTime: .now)
                }))
    }

    @Test func `a cache's state and its reason are those of its conditions`() {
        let states = [
            cache([("Ready", true, "InSync"), ("Degraded", false, "Fine")], ready: 2),
            cache([("Ready", true, "InSync"), ("Degraded", true, "TooFewWorkers")], ready: 1),
            cache([("Ready", false, "Synchronizing"), ("Degraded", true, "Other")], ready: 0),
            DepthCache(metadata: ObjectMeta(name: "new"), spec: DepthCacheSpec(exchange: "e", market: "m")),
        ].map { CacheList.Row($0) }
        #expect(states.map(\.state) == [.ready, .degraded, .notReady, .notReady])
        #expect(states.map(\.reason) == ["", "TooFewWorkers", "Synchronizing", ""])
    }

    @Test func `a gateway's list gives the same rows`() {
        let list = CacheList([
            "depthcache_list": [
                "binance.com": [
                    "B": [
                        "DESIRED_QUANTITY": 2, "CREATED_TIME": 5.5,
                        "DISTRIBUTION": ["a": ["STATUS": "running"]],
                    ],
                    "A": ["DESIRED_QUANTITY": 1, "DISTRIBUTION": [:]],
                ]
            ]
        ])
        #expect(list.rows.map(\.market) == ["A", "B"])
        #expect(list.rows.map(\.state) == [.notReady, .degraded])
        #expect(
            CacheList.table(list.rows, now: 10.5).rows[1] == [
                "binance.com", "B", "1/2", "Degraded", "-", "5s",
            ])
        #expect(list.only(["b"], of: "BINANCE.COM").map(\.market) == ["B"])
    }

    @Test func `who waits for markets waits for every one, and once for one that is named twice`() {
        let list = CacheList([
            "depthcache_list": [
                "binance.com": [
                    "A": ["DESIRED_QUANTITY": 1, "DISTRIBUTION": ["a": ["STATUS": "running"]]],
                    "B": ["DESIRED_QUANTITY": 1, "DISTRIBUTION": [:]],
                ]
            ]
        ])
        #expect(list.headway(["a", "A"], of: "BINANCE.COM") == CacheList.Headway(asked: 1, ready: 1))
        #expect(
            list.headway(["A", "C"], of: "binance.com")
                == CacheList.Headway(asked: 2, ready: 1, reason: "C: not listed"))
        #expect(list.headway(["A", "B", "C"], of: "binance.com").ready == 1)
        #expect(list.headway(["A"], of: "binance.us").ready == 0)
    }
}
