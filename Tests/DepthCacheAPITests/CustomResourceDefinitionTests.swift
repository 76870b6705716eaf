import DepthCacheAPI
import FoundationEssentials
import Testing

@Suite struct CustomResourceDefinitionTests {
    @Test func `the manifests are the definitions that the programs carry`() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        for (fileName, content) in CustomResourceDefinitions.all {
            for folder in ["manifests/crds", "charts/fathom/files/crds"] {
                let file = try Data(contentsOf: root.appending(path: "\(folder)/\(fileName)"))
                #expect(
                    Array(file) == content,
                    "\(folder)/\(fileName) is stale: run hack/generate-manifests.sh")
            }
        }
    }

    @Test func `only ASCII letters change their case when markets are compared`() {
        #expect(
            MarketKey(exchange: "Binance.com", market: "btcusdt")
                == MarketKey(exchange: "binance.com", market: "BTCUSDT"))
        #expect(MarketKey(exchange: "x", market: "ß") != MarketKey(exchange: "x", market: "SS"))
        #expect("币安人生usdt".asciiUppercased == "币安人生USDT")
    }

    @Test func `a spec past its bounds is refused in words`() {
        let spec = DepthCacheSpec(exchange: "", market: "BTCUSDT", replicas: 0, depth: 1_000_000_000)
        #expect(
            spec.violations.map(\.description) == [
                "spec.exchange: expected 1 to 64 characters, was empty",
                "spec.replicas: expected a whole number of at least 1, was 0",
                "spec.depth: expected a whole number from 1 to 5000, was 1000000000",
            ])
        #expect(DepthCacheSpec(exchange: "binance.com", market: "BTCUSDT").violations.isEmpty)
    }
}
