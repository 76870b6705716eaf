import FoundationEssentials
import TestSupport
import Testing

@testable import Transport

/// What happens when a process has no descriptors left, in a child whose limit is low.
@Suite struct DescriptorLimitTests {
    private func start(_ limits: String, _ program: String, _ arguments: String) throws -> ChildProcess {
        try ChildProcess(
            "/bin/sh", ["-c", "ulimit \(limits) && exec '\(Repository.program(program))' \(arguments)"])
    }

    private func listening(_ child: ChildProcess) async throws -> Int {
        try await TestSupport.eventually("the listening line") {
            child.output.contains("\n") || !child.isRunning
        }
        struct Listening: Decodable { var port: Int }
        return try JSONDecoder().decode(Listening.self, from: Data(child.output.utf8)).port
    }

    @Test func `a server without descriptors pauses, says so once, and goes on later`() async throws {
        let child = try start("-n 40", "exchange-simulator", "--port 0 --symbols 1 --rate 1")
        defer { child.send(9) }
        let port = try await listening(child)
        func count(_ words: String) -> Int {
            child.errors.split(separator: words, omittingEmptySubsequences: false).count - 1
        }
        do {
            var peers: [Peer] = []
            for _ in 0..<60 { peers.append(Peer(try RawPeer(port: port))) }
            try await TestSupport.eventually("the warning") { count("Cannot accept connections") > 0 }
            withExtendedLifetime(peers) {}
        }
        try await TestSupport.eventually("the end of the shortage") {
            count("Accepting connections again") > 0
        }
        #expect(count("Cannot accept connections") == 1)
        var trust = TLSClientSettings()
        trust.skipsVerification = true
        let request = HTTPClientRequest(url: "https://127.0.0.1:\(port)/binance.com/api/v3/ping", tls: trust)
        #expect(try await HTTPClient().send(request).status == 200)
    }

    /// The kernel refuses an accept for want of a descriptor even if no connection waits, and then none makes the socket
    /// readable when there are descriptors again.
    @Test func `a shortage ends when nobody waits any more`() async throws {
        let child = try start("-n 40", "exchange-simulator", "--port 0 --symbols 1 --rate 1")
        defer { child.send(9) }
        let port = try await listening(child)
        do {
            var peers: [Peer] = []
            // One by one, so that the last descriptor goes to the last who waits.
            try await TestSupport.eventually("the warning") {
                let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(child.id)/fd").count
                peers.append(Peer(try RawPeer(port: port)))
                try await TestSupport.eventually("the peer's connection") {
                    let now = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(child.id)/fd")
                    return now.count > open || child.errors.contains("Cannot accept connections")
                }
                return child.errors.contains("Cannot accept connections")
            }
            withExtendedLifetime(peers) {}
        }
        try await TestSupport.eventually("the end of the shortage") {
            child.errors.contains("Accepting connections again")
        }
    }

    /// A class, since arrays do not hold what cannot be copied.
    private final class Peer {
        let peer: RawPeer
        init(_ peer: consuming RawPeer) { self.peer = peer }
    }

    @Test func `pauses grow to a bound and start small again`() {
        var shortage = AcceptShortage()
        let start = ContinuousClock.now
        let unneeded = shortage.end()
        let pauses = (0..<7).map { _ in shortage.next(now: start) }
        #expect(pauses.map(\.delay) == [50, 100, 200, 400, 800, 1_000, 1_000].map { .milliseconds($0) })
        #expect(pauses.map(\.isNews) == [true] + Array(repeating: false, count: 6))
        let ends = [shortage.end(), shortage.end()]
        #expect([unneeded] + ends == [false, true, false])
        // The next one is soon after: a small pause again, and not another line.
        let soon = shortage.next(now: start + .seconds(59))
        #expect(soon == (.milliseconds(50), false))
        let isTold = shortage.end()
        #expect(!isTold)
        let later = shortage.next(now: start + .seconds(60))
        #expect(later == (.milliseconds(50), true))
    }

    @Test func `a program raises its soft limit to the hard one`() async throws {
        let folder = try TemporaryFolder()
        let kubeconfig = try folder.write("kubeconfig", Array(Self.kubeconfig.utf8))
        let child = try start("-S -n 64", "fathom", "gateway --port 0 --kubeconfig \(kubeconfig)")
        defer { child.send(9) }
        var row: [Substring] = []
        try await TestSupport.eventually("a raised limit; it printed: \(child.errors)") {
            guard let limits = FileManager.default.contents(atPath: "/proc/\(child.id)/limits") else {
                return false
            }
            let rows = String(decoding: limits, as: UTF8.self).split(separator: "\n")
            row = rows.first { $0.hasPrefix("Max open files") }?.split(separator: " ") ?? []
            return row.count > 4 && row[3] != "64"
        }
        #expect(row[3] == row[4] || row[3] == "65536")
    }

    private static let kubeconfig = """
        apiVersion: v1
        kind: Config
        clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
        users: [{name: u, user: {token: t}}]
        contexts: [{name: x, context: {cluster: c, user: u}}]
        current-context: x
        """
}
