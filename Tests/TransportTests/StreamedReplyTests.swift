import Telemetry
import Testing

@testable import Transport

/// Streams without end, from the loop or from another thread, and waits for nobody.
private final class Fountain: HTTPRequestHandler {
    let written = Guarded(0)
    let isCut = Guarded(false)
    private static let piece = [UInt8](repeating: 0x61, count: 64 << 10)

    func handle(_ request: HTTPServerRequest, _ reply: HTTPReply) {
        reply.begin(status: 200)
        reply.onClose { [isCut] in isCut.withLock { $0 = true } }
        if request.path == "/loop" { flow(reply) } else { Task.detached { self.pour(reply) } }
    }

    private func flow(_ reply: HTTPReply) {
        guard !isCut.withLock({ $0 }) else { return }
        write(reply)
        reply.loop.execute { self.flow(reply) }
    }

    private func pour(_ reply: HTTPReply) {
        while !isCut.withLock({ $0 }) { write(reply) }
    }

    private func write(_ reply: HTTPReply) {
        reply.write(Self.piece)
        written.withLock { $0 += Self.piece.count }
    }
}

@Suite struct StreamedReplyTests {
    @Test(arguments: ["/loop", "/thread"])
    func `a reader that takes nothing is cut off`(path: String) async throws {
        let loop = try EventLoop(name: "server")
        defer { loop.stop() }
        let fountain = Fountain()
        var configuration = HTTPServerConfiguration()
        configuration.maximumStreamBacklog = 1 << 20
        let server = try HTTPServer(configuration, loops: [loop], handler: fountain)
        defer { server.stop() }
        let peer = try RawPeer(port: server.port, receiveBuffer: 65_536)
        peer.send("GET \(path) HTTP/1.1\r\nHost: x\r\n\r\n")
        try await eventually { fountain.isCut.withLock { $0 } }
        // What the kernel and the bound hold, and no end of the body.
        let taken = peer.readCount()
        #expect(taken < 16 << 20)
    }
}
