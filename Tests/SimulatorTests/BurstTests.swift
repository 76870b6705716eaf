import Binance
import FoundationEssentials
import Testing

@testable import exchange_simulator

/// Frames that are written once and sent again and again.
struct BurstTests {
    private func payload(_ frame: [UInt8]) -> [UInt8] { Array(frame[(frame[1] == 126 ? 4 : 2)...]) }

    @Test func `the list of markets names each as trading`() throws {
        var settings = EngineSettings()
        (settings.symbolCount, settings.depth) = (3, 60)
        let markets = try BurstMarkets(settings)
        let info = try ExchangeInfo(parsing: markets.list)
        #expect(info.markets.map(\.symbol) == markets.symbols && markets.symbols.count == 3)
        #expect(info.markets.allSatisfy { $0.status == "TRADING" })
    }

    @Test func `a cycle is an unbroken stream that never crosses the book, and its snapshots fit everywhere`()
        throws
    {
        var settings = EngineSettings()
        settings.depth = 60
        settings.changesPerEvent = 20
        var cycle = FrameCycle(symbol: "BTCUSDT", settings: settings, count: 30)
        #expect(cycle.frames.count == 30)
        var client = NaiveClient(try NaiveClient.snapshot(cycle.snapshot(limit: 5000)), kind: .spot)
        let first = try NaiveClient.snapshot(cycle.snapshot(limit: 5000))
        for step in 1...95 {
            var bytes: [UInt8] = []
            cycle.appendNext(to: &bytes, time: 1_700_000_000_000 + Int64(step))
            let frame = try NaiveClient.frame(payload(bytes))
            #expect(frame.E == 1_700_000_000_000 + Int64(step))
            #expect(frame.b.count + frame.a.count == 20)
            try client.take(frame)
            let snapshot = try NaiveClient.snapshot(cycle.snapshot(limit: 5000))
            #expect(snapshot.lastUpdateId == client.id)
            #expect(Dictionary(uniqueKeysWithValues: snapshot.bids.map { ($0[0], $0[1]) }) == client.bids)
            #expect(Dictionary(uniqueKeysWithValues: snapshot.asks.map { ($0[0], $0[1]) }) == client.asks)
            let (bid, ask) = (try #require(snapshot.bids.first), try #require(snapshot.asks.first))
            #expect(try #require(Double(bid[0])) < (try #require(Double(ask[0]))))
            if step % 30 == 0 { #expect(snapshot.bids == first.bids && snapshot.asks == first.asks) }
        }
        #expect(client.applied == 95)
    }
}
