import Books
import FoundationEssentials
import Testing

@testable import Binance

/// The table of exchanges, its description in `docs/exchanges.md` and the files that override it.
struct ExchangeTableTests {
    private func page() throws -> String {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return String(
            decoding: try Data(contentsOf: root.appending(path: "docs/exchanges.md")), as: UTF8.self)
    }

    private func row(_ exchange: Exchange) -> String {
        let speeds = exchange.updateIntervals.map {
            $0 == exchange.plainInterval ? "\($0) (plain)" : "\($0)"
        }
        let limits = exchange.snapshotLimits.map { "\($0.levels)/\($0.weight)" }
        let cells = [
            "`\(exchange.name)`",
            exchange.marketDataName == exchange.name ? "" : "`\(exchange.marketDataName)`",
            "\(exchange.sequenceRule == .linked ? "`pu`" : "`U`")", exchange.restBaseURL + exchange.apiPath,
            exchange.webSocketBaseURL, limits.joined(separator: " "), exchange.weightPool,
            "\(exchange.weightPerMinute)", "\(exchange.streamsPerConnection)",
            "\(exchange.messagesPerSecond)",
            speeds.joined(separator: ", "), exchange.accountGroup,
        ]
        return "| " + cells.joined(separator: " | ") + " |"
    }

    @Test func `the page shows the table of the code`() throws {
        let rows = try page().split(separator: "\n").filter {
            $0.hasPrefix("| `binance.") || $0.hasPrefix("| `trbinance")
        }
        #expect(rows.map(String.init) == Exchange.documented.map(row))
    }

    @Test func `the page describes every setting of the override file and no other`() throws {
        let text = try page()
        let part = try #require(text.split(separator: "## The override file").last)
        let described = part.split(separator: "\n").filter { $0.hasPrefix("| `") }
            .compactMap { $0.split(separator: "`").dropFirst().first.map(String.init) }
        #expect(described == ExchangeSetting.allCases.map(\.rawValue))
    }

    @Test func `the example on the page is a valid override file`() throws {
        let text = try page()
        let example = try #require(text.split(separator: "```yaml\n").last?.split(separator: "```").first)
        let directory = try ExchangeDirectory(overridesYAML: Array(example.utf8))
        #expect(directory.all != ExchangeDirectory().all)
    }

    @Test func `an override of the origin reaches its aliases, and one of an alias only itself`() throws {
        let directory = try ExchangeDirectory(
            overridesYAML: Array(
                "binance.com: {weightPerMinute: 7}\nbinance.com-margin-testnet: {streamsPerConnection: 3}"
                    .utf8))
        #expect(directory[name: "binance.com-isolated_margin"]?.weightPerMinute == 7)
        #expect(directory[name: "binance.com-margin-testnet"]?.streamsPerConnection == 3)
        #expect(directory[name: "binance.com-testnet"]?.streamsPerConnection == 1024)
    }

    @Test func `a weight of the override file is the most that counts, whatever the exchange tells`() throws {
        let directory = try ExchangeDirectory(
            overridesYAML: Array("binance.com: {weightPerMinute: 1200}".utf8))
        for name in ["binance.com", "binance.com-margin"] {
            let exchange = try #require(directory[name: name])
            #expect(exchange.weightLimit(told: 6000) == 1200)
            #expect(exchange.weightLimit(told: 600) == 600)
        }
        #expect(directory[name: "binance.us"]?.weightLimit(told: 7000) == 7000)
    }

    @Test(arguments: [
        ("binance.com", ["btcusdt"], "https://api.binance.com/api/v3/exchangeInfo?symbol=BTCUSDT"),
        (
            "binance.us", ["BTCUSDT", "币安USDT"],
            "https://api.binance.us/api/v3/exchangeInfo?symbols=%5B%22BTCUSDT%22%2C%22%E5%B8%81%E5%AE%89USDT%22%5D"
        ), ("binance.com", [], "https://api.binance.com/api/v3/exchangeInfo"),
        ("binance.com-futures", ["BTCUSDT"], "https://fapi.binance.com/fapi/v1/exchangeInfo"),
    ])
    func `markets are asked for by name where the exchange can list some alone`(
        exchange: String, markets: [String], url: String
    ) throws {
        let exchange = try #require(try ExchangeDirectory(overridesYAML: [])[name: exchange])
        #expect(exchange.exchangeInfoRequest(markets: markets).url == url)
    }

    @Test func `Binance TR lists its markets elsewhere, unless its books are sent elsewhere too`() throws {
        func list(_ yaml: String) throws -> String? {
            try ExchangeDirectory(overridesYAML: Array(yaml.utf8))[name: "trbinance.com"]?
                .exchangeInfoRequest().url
        }
        let path = "/open/v1/common/symbols"
        #expect(try list("") == "https://www.binance.tr" + path)
        #expect(try list("trbinance.com: {restBaseURL: 'https://a'}") == "https://a" + path)
        let both = "trbinance.com: {marketListBaseURL: 'https://b', restBaseURL: 'https://a'}"
        #expect(try list(both) == "https://b" + path)
        #expect(throws: ExchangeFileError.self) { try list("binance.us: {marketListBaseURL: 'https://b'}") }
    }

    @Test func `every family's list of markets is understood`() throws {
        func status(_ text: String, _ market: String) throws -> String? {
            try ExchangeInfo(parsing: Array(text.utf8)).market(market)?.status
        }
        let turkish = """
            {"code":0,"msg":"Success","data":{"x":[1],"list":[{"type":1,"symbol":"BTC_TRY","baseAsset":"BTC",\
            "filters":[{"a":{}}],"spotTradingEnable":1},{"type":3,"symbol":"NEW_TRY","spotTradingEnable":1},\
            {"type":1,"symbol":"OLD_TRY","spotTradingEnable":0}]},"timestamp":1}
            """
        #expect(try status(turkish, "btctry") == "TRADING")
        #expect(try status(turkish, "NEWTRY") == "OTHER_PLATFORM")
        #expect(try status(turkish, "OLDTRY") == "BREAK")
        let coin = #"{"symbols":[{"symbol":"BTCUSD_PERP","contractStatus":"TRADING","contractSize":100}]}"#
        #expect(try status(coin, "BTCUSD_PERP") == "TRADING")
        let options = #"{"optionSymbols":[{"expiryDate":1,"symbol":"BTC-1-2-C","status":"TRADING"}]}"#
        #expect(try status(options, "BTC-1-2-C") == "TRADING")
        #expect(throws: WireError.self) {
            try status(#"{"code":3701,"msg":"Invalid signature.","timestamp":1}"#, "BTCTRY")
        }
    }
}
