import DepthCacheAPI
import Testing

@testable import Gateway

/// The bytes of envelopes.
struct EnvelopeTests {
    private func text(_ bytes: some Collection<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }

    @Test func `an error has the peer's keys, sorted`() {
        let message = "DepthCache 'BTCUSDT' for 'binance.com' already exists!"
        let bytes = Envelope.render(Envelope.error(.alreadyExists, "CREATE_DEPTHCACHE", message))
        #expect(
            text(bytes)
                == ##"{"error_id":"#1024","event":"CREATE_DEPTHCACHE","message":"\##(message)","result":"ERROR"}"##
        )
    }

    @Test func `texts are escaped and stay UTF-8`() {
        var bytes: [UInt8] = []
        bytes.append(json: "a\"\\\n\r\t\u{1}é币\u{7f}")
        #expect(text(bytes) == "\"a\\\"\\\\\\n\\r\\t\\u0001é币\u{7f}\"")
    }

    @Test func `members are put before the last brace of a worker's object`() {
        let object = ArraySlice(#"{"asks":[],"result":"OK"}"#.utf8)
        #expect(Envelope.splice([], into: object) == object)
        let members = [("error_id", JSONFragment("#5001")), ("error", JSONFragment("x"))]
        #expect(
            text(Envelope.splice(members, into: object))
                == ##"{"asks":[],"result":"OK","error_id":"#5001","error":"x"}"##)
        #expect(text(Envelope.splice([("a", JSONFragment(1))], into: ArraySlice("{}".utf8))) == #"{"a":1}"#)
    }

    @Test func `the debug block names the pods in order`() {
        let block = DebugBlock(url: "http://h/get_asks?x", start: .now, postBody: JSONFragment("b"))
        let pods = [PodName(name: "g", uid: "1"), PodName(name: "w", uid: "2")]
        let rendered = text(block.fragment(usedPods: pods).bytes)
        #expect(rendered.hasPrefix(#"{"cluster_execution_time":0.0"#))
        #expect(rendered.contains(#","post_body":"b","request_time":0,"transmission_time":0,"#))
        #expect(rendered.hasSuffix(#""url":"http://h/get_asks?x","used_pods":[["g","1"],["w","2"]]}"#))
    }

    @Test(arguments: [
        (0.0, "0.0"), (1_795_226_303.83, "1795226303.83"), (.nan, "0.0"), (-0.5, "-0.5"), (1e-9, "0.0"),
    ])
    func `seconds are decimals without an exponent`(_ seconds: Double, rendered: String) {
        #expect(text(JSONFragment(seconds: seconds).bytes) == rendered)
    }
}
