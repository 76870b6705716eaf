import DepthCacheAPI
import Testing

@testable import Gateway

/// How queries and numbers are read.
struct ParameterTests {
    @Test(
        arguments: [
            ("market=A", "A"), ("x=1&market=A&y", "A"), ("market=A&market=B", "B"), ("market=", ""),
            ("market", ""), ("m%61rket=%41%2B+b", "A+ b"), ("market=%E5%B8%81", "币"), ("market=%", "%"),
            ("market=A%26desired_quantity%3D7", "A&desired_quantity=7"), ("market=%zz%4", "%zz%4"),
            ("market=a=b", "a=b"), ("&&market=A&", "A"), ("markets=A", nil), ("Market=A", nil), ("", nil),
            ("market=A&market=", ""),
        ] as [(String, String?)])
    func `the last value of a parameter is found and decoded`(_ query: String, value: String?) {
        #expect(QueryString(query).last("market") == value)
    }

    @Test(
        arguments: [
            ("5", 5), (" 2", 2), ("1_0", 10), ("-3", -3), ("+7\n", 7), ("007", 7), ("2.5", nil), ("abc", nil),
            ("", nil), ("_1", nil), ("1_", nil), ("1__0", nil), ("- 1", nil), ("0x10", nil), ("None", nil),
            ("9223372036854775807", .max), ("9223372036854775808", .max), ("-9223372036854775808", .min),
            ("-99999999999999999999", .min),
        ] as [(String, Int64?)])
    func `integers are read as leniently as before`(_ text: String, value: Int64?) {
        #expect(NumberText.integer(text) == value)
    }

    @Test(
        arguments: [
            ("1e5", .quote(mantissa: 1, scale: -5)), ("100000.0", .quote(mantissa: 1, scale: -5)),
            ("0.1", .quote(mantissa: 1, scale: 1)), (".5", .quote(mantissa: 5, scale: 1)),
            ("5.", .quote(mantissa: 5, scale: 0)), ("1_0.2_5", .quote(mantissa: 1025, scale: 2)),
            (" +1E-2 ", .quote(mantissa: 1, scale: 2)), ("inf", .unlimited), ("-inf", .bestOnly),
            ("Infinity", .unlimited), ("nan", .bestOnly), ("-NaN", .bestOnly), ("0", .bestOnly),
            ("-1", .bestOnly), ("0e999999999999", .bestOnly), ("1e400", .unlimited), ("1e-400", .bestOnly),
            ("1e", nil), ("e5", nil), (".", nil), ("", nil), ("abc", nil), ("1,5", nil), ("0x1", nil),
            ("1 2", nil), ("--1", nil),
            (
                "123456789012345678901234567890123456789",
                .quote(mantissa: 12_345_678_901_234_567_890_123_456_789_012_345_678, scale: -1)
            ),
        ] as [(String, VolumeThreshold?)])
    func `thresholds are exact decimals`(_ text: String, value: VolumeThreshold?) {
        #expect(NumberText.threshold(text) == value)
    }

    @Test(
        arguments: [
            ("127.0.0.1:42081", nil, nil, true, true), ("localhost", nil, nil, true, true),
            ("[::1]:42081", nil, nil, true, true), ("fathom.example:80", nil, nil, true, true),
            ("evil.example", nil, nil, false, false), ("127.0.0.1.evil.example", nil, nil, false, false),
            ("[::1]:8080", "http://[::1]:8080", nil, true, true), ("[::2]:8080", nil, nil, false, false),
            ("[::1", nil, nil, false, false), ("[0:0:0:0:0:0:0:1]", nil, nil, true, true),
            (nil, nil, nil, true, true), ("localhost:1", "https://evil.example", nil, true, false),
            ("localhost:1", "http://localhost:9", nil, true, true), ("localhost:1", "null", nil, true, false),
            ("localhost:1", nil, "cross-site", true, false), ("localhost:1", nil, "same-origin", true, true),
        ] as [(String?, String?, String?, Bool, Bool)])
    func `web pages and rebound names are kept away from a loopback gateway`(
        host: String?, origin: String?, fetchSite: String?, mayRead: Bool, mayChange: Bool
    ) {
        let loopback = LoopbackGuard(listeningOn: "127.0.0.1", allowedHosts: ["fathom.example"])
        let read = loopback.refusal(host: host, origin: origin, fetchSite: fetchSite, changesState: false)
        let change = loopback.refusal(host: host, origin: origin, fetchSite: fetchSite, changesState: true)
        #expect((read == nil) == mayRead)
        #expect((change == nil) == mayChange)
        let other = LoopbackGuard(listeningOn: "::1", allowedHosts: ["fathom.example"])
        #expect(
            (other.refusal(host: host, origin: origin, fetchSite: fetchSite, changesState: true) == nil)
                == mayChange)
        for address in ["0.0.0.0", "::"] {
            let open = LoopbackGuard(listeningOn: address, allowedHosts: [])
            #expect(open.refusal(host: host, origin: origin, fetchSite: fetchSite, changesState: true) == nil)
        }
    }
}
