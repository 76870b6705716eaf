import Testing

@testable import Gateway

struct RequestIDTests {
    @Test(arguments: ["a", "0aZ-_.:=/+", String(repeating: "x", count: 64)])
    func `an id of a client is taken as it is`(id: String) {
        #expect(RequestIDs.accepted(id) == id)
    }

    @Test(arguments: [
        "", "a b", "a\nb", "a\"b", "<a>", "a;b", "ä", "a\u{0}", String(repeating: "x", count: 65),
    ])
    func `one that could mean something to somebody is not`(id: String) {
        #expect(RequestIDs.accepted(id) == nil)
    }

    @Test func `ours differ from each other, and from those of other gateways`() {
        let (one, other) = (RequestIDs(prefix: "aaaaaa"), RequestIDs(prefix: "bbbbbb"))
        let ids = (0..<100).map { _ in one.next() } + (0..<100).map { _ in other.next() }
        #expect(Set(ids).count == 200)
        #expect(ids.allSatisfy { RequestIDs.accepted($0) == $0 && $0.utf8.count <= 15 })
    }
}
