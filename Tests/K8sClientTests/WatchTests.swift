import K8sClient
import Testing

@Suite struct WatchTests {
    @Test func `lines come out whole at every chunk size`() throws {
        let text = "{\"a\":1}\n\n{\"b\":\"é😀\"}\r\n{\"c\":3}\npartial"
        let bytes = Array(text.utf8)
        for size in 1...bytes.count {
            var lines = WatchLines()
            var found: [[UInt8]] = []
            for start in stride(from: 0, to: bytes.count, by: size) {
                found += try lines.feed(Array(bytes[start..<min(start + size, bytes.count)]))
            }
            #expect(
                found.map { String(decoding: $0, as: UTF8.self) } == [
                    "{\"a\":1}", "{\"b\":\"é😀\"}", "{\"c\":3}",
                ])
        }
    }

    @Test func `a line over the limit is an error and one at the limit is not`() throws {
        var lines = WatchLines(limit: 3)
        #expect(try lines.feed(Array("abc\nde".utf8)) == [Array("abc".utf8)])
        #expect(try lines.feed(Array("f".utf8)).isEmpty)
        #expect(throws: WatchLines.LineTooLong(limit: 3)) { try lines.feed(Array("g".utf8)) }
    }

    @Test(arguments: [
        (
            WatchState.mustList, WatchState.Input.page(resourceVersion: "5", continueToken: nil),
            WatchState.mustWatch(resourceVersion: "5")
        ),
        (.mustList, .page(resourceVersion: "5", continueToken: "t"), .listing(continueToken: "t")),
        (
            .listing(continueToken: "t"), .page(resourceVersion: "5", continueToken: "u"),
            .listing(continueToken: "u")
        ),
        (
            .listing(continueToken: "t"), .page(resourceVersion: "5", continueToken: nil),
            .mustWatch(resourceVersion: "5")
        ),
        (.listing(continueToken: "t"), .failed(code: 410), .mustList),
        (.listing(continueToken: "t"), .failed(code: 500), .mustList),
        (.mustWatch(resourceVersion: "5"), .opened, .watching(resourceVersion: "5")),
        (.mustWatch(resourceVersion: "5"), .failed(code: 500), .mustWatch(resourceVersion: "5")),
        (.mustWatch(resourceVersion: "5"), .failed(code: 410), .mustList),
        (.watching(resourceVersion: "5"), .object(resourceVersion: "6"), .watching(resourceVersion: "6")),
        (.watching(resourceVersion: "5"), .bookmark(resourceVersion: "9"), .watching(resourceVersion: "9")),
        (.watching(resourceVersion: "5"), .closed, .mustWatch(resourceVersion: "5")),
        (.watching(resourceVersion: "5"), .failed(code: 0), .mustWatch(resourceVersion: "5")),
        (.watching(resourceVersion: "5"), .failed(code: 410), .mustList),
    ])
    func `the table of states`(_ from: WatchState, _ input: WatchState.Input, _ to: WatchState) {
        #expect(from.after(input) == to)
    }

    @Test func `events are told apart and an error is a Status`() throws {
        func event(_ text: String) throws -> WatchEvent { try WatchEvent(line: Array(text.utf8)) }
        #expect(try event(#"{"type":"ADDED","object":{"x":1}}"#) == .added(["x": 1]))
        #expect(
            try event(#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"7"}}}"#)
                == .bookmark(resourceVersion: "7"))
        guard
            case .failed(let status) = try event(
                #"{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}"#
            )
        else {
            Issue.record("not an error")
            return
        }
        #expect(status.code == 410 && status.reason == "Expired")
        #expect(throws: JSONError.self) { try event(#"{"type":"NEW","object":{}}"#) }
        #expect(throws: JSONError.self) { try event(#"{"type":"ADDED"}"#) }
    }
}
