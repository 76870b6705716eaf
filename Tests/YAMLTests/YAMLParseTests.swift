import Testing
import YAML

@Suite struct YAMLParseTests {
    @Test(arguments: [
        ("", YAMLValue.null), ("~", .null), ("null", .null), ("true", .bool(true)), ("False", .bool(false)),
        ("yes", .string("yes")), ("12", .int(12)), ("-7", .int(-7)), ("+3", .int(3)), ("0x1F", .int(31)),
        ("0o17", .int(15)), ("017", .int(17)), ("9223372036854775807", .int(.max)),
        ("9223372036854775808", .double(9_223_372_036_854_775_808)), ("1.5", .double(1.5)),
        ("1e3", .double(1000)),
        (".5", .double(0.5)), (".inf", .double(.infinity)), ("1.2.3", .string("1.2.3")),
        ("1e", .string("1e")),
        ("-", .string("-")), ("'12'", .string("12")), ("\"a\\nb\"", .string("a\nb")),
        ("!!str 12", .string("12")),
        ("0x-1", .string("0x-1")), ("2026-11-21", .string("2026-11-21")),
    ])
    func `a scalar has the type of the core schema`(_ text: String, _ value: YAMLValue) throws {
        if text == "-" {
            #expect(try YAML.parse("- \n") == .sequence([.null]))
        } else {
            #expect(try YAML.parse(text) == value)
        }
    }

    @Test func `a mapping keeps its order and nests`() throws {
        let value = try YAML.parse("b: 1\na:\n- x: {y: [1, two]}\n- null\n")
        #expect(
            value
                == .mapping([
                    .init(key: "b", value: .int(1)),
                    .init(
                        key: "a",
                        value: .sequence([
                            .mapping([
                                .init(
                                    key: "x",
                                    value: .mapping([
                                        .init(key: "y", value: .sequence([.int(1), .string("two")]))
                                    ]))
                            ]), .null,
                        ])),
                ]))
    }

    @Test func `several documents are several values and one is asked for as one`() throws {
        #expect(try YAML.parseAll(Array("a: 1\n---\nb: 2\n---\n".utf8)).count == 3)
        #expect(throws: YAMLError(message: "expected one document, found 2", line: 1, column: 1)) {
            try YAML.parse("a\n---\nb\n")
        }
        #expect(try YAML.parseAll([]).isEmpty)
    }

    @Test func `an alias is a copy of its anchor`() throws {
        let value = try YAML.parse("a: &x {k: 1}\nb: *x\n")
        #expect(value["b"] == value["a"])
        #expect(value["b"]?["k"] == .int(1))
    }

    @Test(arguments: [
        ("a: 1\nb: 2\na: 3\n", "line 3, column 1: duplicate key \"a\""),
        ("a: *nothing\n", "line 1, column 4: unknown alias \"nothing\""),
        ("a: &x [*x]\n", "line 1, column 8: unknown alias \"x\""),
        ("? [1]\n: 2\n", "line 1, column 3: a key must be a scalar"),
        ("a: !!int x\n", "line 1, column 4: \"x\" is not what its tag says"),
        ("a: !custom x\n", "line 1, column 4: unknown tag \"!custom\""),
        ("a: [1\nb: 2\n", "line 2, column 2: did not find expected ',' or ']' while parsing a flow sequence"),
        (
            "a:\n\t- 1\n",
            "line 2, column 1: found character that cannot start any token while scanning for the next token"
        ),
        ("<<: {a: 1}\n", "line 1, column 1: merge keys are not supported"),
    ])
    func `a fault is named with its place`(_ text: String, _ message: String) {
        #expect {
            try YAML.parse(text)
        } throws: {
            let text = "\($0)"
            if text != message { Issue.record("was: \(text)") }
            return text == message
        }
    }

    @Test func `a billion laughs end at the limit of nodes`() {
        var text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
        for level in 1...9 {
            let aliases = Array(repeating: "*a\(level - 1)", count: 9).joined(separator: ", ")
            text += "a\(level): &a\(level) [\(aliases)]\n"
        }
        #expect(throws: YAMLError.self) { try YAML.parse(text) }
    }

    @Test func `depth is bounded with and without aliases`() throws {
        let limits = YAMLLimits(depth: 5, nodes: 1000)
        #expect(throws: YAMLError.self) { try YAML.parse(Array("[[[[[[1]]]]]]".utf8), limits: limits) }
        _ = try YAML.parse(Array("[[[[[1]]]]]".utf8), limits: limits)
        #expect(throws: YAMLError.self) {
            try YAML.parse(Array("- &a [[[1]]]\n- [[*a]]\n".utf8), limits: limits)
        }
        #expect(throws: YAMLError.self) { try YAML.parse(String(repeating: "[", count: 200_000)) }
    }

    @Test func `JSON is YAML`() throws {
        #expect(try YAML.parse("{\"a\":[1,true,null,\"x\\u00e9\"]}")["a"]?.elements?.last == .string("xé"))
    }

    @Test func `what is emitted reads back the same`() throws {
        let strings = [
            "", "plain", "yes", "12", "1.0", "null", "~", " a", "a: b", "# no", "it's", "\"q\"", "a\nb\n",
            "é", "😀",
            "\u{7}", "-", "- a", "0x1F", "@x", "*a", "&b", "!t", "a\\b", "\u{FEFF}", "\u{2028}", "n",
            "2026-11-21",
        ]
        let value = YAMLValue.mapping([
            .init(key: "strings", value: .sequence(strings.map { .string($0) })),
            .init(key: "a: b", value: .mapping([])), .init(key: "empty", value: .sequence([])),
            .init(
                key: "nested",
                value: .sequence([
                    .sequence([.int(1), .sequence([.int(2)])]),
                    .mapping([
                        .init(key: "x", value: .mapping([.init(key: "y", value: .double(1.5))])),
                        .init(key: "z", value: .bool(false)),
                    ]), .null,
                ])),
        ])
        #expect(try YAML.parse(YAML.emit(value)) == value)
    }
}
