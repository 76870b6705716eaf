import Binance
import DepthCacheAPI
import K8sClient
import Telemetry
import Testing

@testable import Worker

/// What a worker does with its credentials, as far as no API is needed.
@Suite struct ExchangeKeysTests {
    private func replica(_ exchange: String, _ secret: String?) -> DepthCacheReplica {
        DepthCacheReplica(
            metadata: ObjectMeta(name: "r"),
            spec: DepthCacheReplicaSpec(
                exchange: exchange, market: "BTCUSDT", workerName: "w", credentialsSecretName: secret))
    }

    @Test func `each account group has one Secret, whatever the exchanges are called`() {
        let names = ExchangeKeys.names(
            in: [
                replica("binance.com", "a"), replica("Binance.com-FUTURES", "a"), replica("binance.us", nil),
                replica("trbinance.com", "t"), replica("nowhere", "x"),
            ], ExchangeDirectory())
        #expect(names == ["binance.com": "a", "binance.tr": "t"])
    }

    @Test func `without a Secret that was read there is no key`() {
        let keys = ExchangeKeys(client: nil, metrics: MetricRegistry())
        keys.assign(["binance.com": "a"])
        #expect(keys.key("binance.com") == nil)
    }

    @Test(arguments: [
        ("abc", "abc"), ("abc\n", "abc"), (" abc ", "abc"), ("", nil), (" \n", nil), ("a b", nil),
        ("a\r\nX: y", nil),
        ("schlüssel", nil), (String(repeating: "a", count: 257), nil),
    ])
    func `a key is what a header can carry`(text: String, value: String?) {
        #expect(APIKey(text)?.headerValue == value)
    }

    @Test func `a key shows itself in no text`() throws {
        let key = try #require(APIKey("0123456789abcdef0123456789abcdef"))
        for text in [
            "\(key)", String(reflecting: key), String(describing: [key]), String(describing: Optional(key)),
        ] {
            #expect(!text.contains("0123"))
        }
        var dumped = ""
        dump(key, to: &dumped)
        #expect(!dumped.contains("0123"))
        #expect(key.removed(from: "Invalid key \(key.headerValue).") == "Invalid key (key).")
        #expect(ExchangeCredentials.preview(key.headerValue) == "0123********************ef")
        #expect(ExchangeCredentials.preview("short") == "********************")
    }

    @Test(arguments: [
        (401, Int64(-2015), true), (400, -2014, true), (401, 0, true), (400, -1121, false),
        (429, -1003, false),
    ])
    func `a refusal of the key is told from others`(status: Int, code: Int64, isAboutKey: Bool) {
        let failure = RequestFailure(
            status: status, retryAfter: nil, body: Array(#"{"code":\#(code),"msg":"x"}"#.utf8),
            nowMilliseconds: 0)
        #expect(failure.isAboutKey == isAboutKey)
    }
}
