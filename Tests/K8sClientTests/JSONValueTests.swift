import K8sClient
import TestSupport
import Testing
import YAML

@Suite struct JSONValueTests {
    @Test(arguments: [
        ("0", JSONValue.int(0)), ("-0", .int(0)), ("9223372036854775807", .int(.max)),
        ("-9223372036854775808", .int(.min)), ("1.0", .double(1)), ("1e2", .double(100)),
        ("9223372036854775808", .double(9_223_372_036_854_775_808)), (" [ ] ", .array([])),
        ("{}", .object([:])),
        ("\"\\u00e9\\n\\ud83d\\ude00\\/\"", .string("é\n😀/")), ("\"\\ud800x\"", .string("\u{FFFD}x")),
        ("{\"a\":1,\"a\":2}", .object(["a": 2])),
        ("[null,true,false]", .array([.null, true, false])),
    ])
    func `a value is read exactly`(_ text: String, _ value: JSONValue) throws {
        #expect(try JSONValue(parsing: text) == value)
    }

    @Test(arguments: [
        "", "{", "[1,]", "{\"a\"}", "{a:1}", "01", "1.", "1e", "+1", ".5", "-", "nul", "truex", "[1] 2",
        "\"a", "\"\\x\"",
        "\"\\u12g4\"", "\"\u{1}\"", "1e999", "[1 2]",
    ])
    func `what is not JSON is refused`(_ text: String) {
        #expect(throws: JSONError.self) { try JSONValue(parsing: text) }
    }

    @Test func `depth is bounded`() throws {
        _ = try JSONValue(parsing: String(repeating: "[", count: 200) + String(repeating: "]", count: 200))
        #expect(throws: JSONError.self) { try JSONValue(parsing: String(repeating: "[", count: 300_000)) }
    }

    @Test func `bytes are sorted and read back the same`() throws {
        let value: JSONValue = [
            "b": [1, 2.5, "x\"\\\n\u{1}é"], "a": ["z": nil, "y": true], "c": .int(.max), "d": 1.0,
        ]
        #expect(
            value.rendered
                == #"{"a":{"y":true,"z":null},"b":[1,2.5,"x\"\\\n\u0001é"],"c":9223372036854775807,"d":1.0}"#)
        #expect(try JSONValue(parsing: value.bytes) == value)
        #expect(JSONValue(try YAML.parse(YAML.emit(value.yaml))) == value)
    }

    @Test func `random bytes never trap the parser`() {
        var random = SplitMix64(seed: 1)
        let alphabet = Array("{}[]\",:\\u0123.eE+-tfn ".utf8)
        for _ in 0..<5_000 {
            let bytes = (0..<Int.random(in: 0...30, using: &random)).map { _ in
                alphabet[Int.random(in: 0..<alphabet.count, using: &random)]
            }
            if let value = try? JSONValue(parsing: bytes) {
                #expect((try? JSONValue(parsing: value.bytes)) == value)
            }
        }
    }

    @Test func `paths are read and set`() {
        var value: JSONValue = ["spec": ["replicas": 2]]
        #expect(value.at("spec", "replicas")?.number == 2)
        value.set(["status", "phase"], to: "Ready")
        value.set(["spec", "replicas"], to: nil)
        value.set(["nothing", "here"], to: nil)
        #expect(value == ["spec": [:], "status": ["phase": "Ready"]])
    }

    @Test func `a type that does not fit is told with its path`() {
        let value: JSONValue = ["metadata": ["name": "a"], "spec": ["leaseDurationSeconds": "nine"]]
        #expect {
            try value.decode(Lease.self)
        } throws: {
            "\($0)".contains("at .spec.leaseDurationSeconds")
        }
    }

    @Test func `objects keep what they have and leave out what is empty`() throws {
        let lease = Lease(
            metadata: ObjectMeta(name: "a", labels: ["x": "y"]),
            spec: .init(
                holderIdentity: "me", leaseDurationSeconds: 9,
                renewTime: MicroTimestamp(microsecondsSinceEpoch: 1_795_237_567_000_123)))
        let json = try lease.json()
        #expect(
            json == [
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": ["name": "a", "labels": ["x": "y"]],
                "spec": [
                    "holderIdentity": "me", "leaseDurationSeconds": 9,
                    "renewTime": "2026-11-21T05:06:07.000123Z",
                ],
            ])
        #expect(try json.decode(Lease.self) == lease)
    }

    @Test(arguments: [
        ("1970-01-01T00:00:00Z", Int64(0)), ("2024-02-29T23:59:59Z", 1_709_251_199_000_000),
        ("2026-11-21T05:06:07.5+01:00", 1_795_233_967_500_000), ("1969-12-31T23:59:59.9999999Z", -1),
    ])
    func `times are read`(_ text: String, _ micros: Int64) throws {
        #expect(try JSONValue.string(text).decode(MicroTimestamp.self).microsecondsSinceEpoch == micros)
    }

    @Test(arguments: [
        "", "2026-11-21", "2026-13-01T00:00:00Z", "2026-11-21T05:06:07", "2026-11-21T05:06:07Zx",
    ])
    func `what is not a time is refused`(_ text: String) {
        #expect(throws: JSONError.self) { try JSONValue.string(text).decode(Timestamp.self) }
    }

    @Test func `a condition's time moves with its status only`() {
        func ready(_ status: Condition.Status, _ generation: Int64, _ at: Int64) -> Condition {
            Condition(
                type: "Ready", status: status, reason: "R", message: "", observedGeneration: generation,
                lastTransitionTime: Timestamp(secondsSinceEpoch: at))
        }
        var conditions: [Condition] = []
        conditions.set(ready(.no, 1, 10))
        conditions.set(ready(.no, 2, 20))
        #expect(conditions == [ready(.no, 2, 10)])
        conditions.set(ready(.yes, 2, 30))
        #expect(conditions["Ready"]?.lastTransitionTime.secondsSinceEpoch == 30)
    }
}
