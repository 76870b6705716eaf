import DepthCacheAPI
import K8sClient
import Testing

@Suite struct ObjectNamesTests {
    @Test func `a cache made over REST is named after exchange, market and their digest`() {
        let name = ObjectNames.depthCache(exchange: "binance.com", market: "BTCUSDT")
        #expect(name.hasPrefix("binance-com-btcusdt-"))
        #expect(name.utf8.count == "binance-com-btcusdt-".utf8.count + 8)
        #expect(name == ObjectNames.depthCache(exchange: "BINANCE.com", market: "btcusdt"))
        #expect(name != ObjectNames.depthCache(exchange: "binance.us", market: "BTCUSDT"))
    }

    @Test func `a market without ASCII letters leaves only the digest`() {
        let name = ObjectNames.depthCache(exchange: "binance.com", market: "币安人生")
        #expect(name.hasPrefix("binance-com-"))
        #expect(name.utf8.count == "binance-com-".utf8.count + 8)
        #expect(ObjectNames.slug("--A__b--") == "a-b")
        #expect(
            ObjectNames.slug(String(repeating: "a", count: 39) + "-b") == String(repeating: "a", count: 39))
    }

    @Test func `a replica's name fits however long the cache's name is`() {
        let long = String(repeating: "x", count: 39) + "." + String(repeating: "y", count: 200)
        let name = ObjectNames.replica(cacheName: long, cacheUID: "c", workerUID: "w")
        #expect(name.hasPrefix(String(repeating: "x", count: 39) + "-"))
        #expect(name.utf8.count == 48)
        #expect(name != ObjectNames.replica(cacheName: long, cacheUID: "c", workerUID: "v"))
    }

    @Test func `a list of markets survives being cut into parts`() {
        let markets = Dictionary(
            uniqueKeysWithValues: (0..<500).map { ("m\($0)usdt", $0 % 7 == 0 ? "BREAK" : "TRADING") })
        let list = MarketList(exchange: "binance.com", markets: markets)
        let parts = list.configMaps(namespace: "default", partByteCount: 1_000)
        #expect(parts.count > 3)
        #expect(parts[0].metadata.name == "fathom-markets-binance-com")
        #expect(parts[1].metadata.name == "fathom-markets-binance-com-1")
        #expect(MarketList.read(parts.shuffled()) == ["binance.com": list])
        #expect(MarketList.read(Array(parts.dropLast())).isEmpty)
        #expect(list.contains("M3usdt"))
    }
}
