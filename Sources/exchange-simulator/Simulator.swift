import FoundationEssentials
import Glibc
import Transport

/// A running simulator: listening, with its authority's certificate in a file.
final class Simulator {
    let port: Int
    /// The file with the certificate that clients must trust.
    let caFile: String
    private let loop: EventLoop
    private let http: HTTPServer
    private let server: SimulatorServer
    /// A folder of our own making, to be removed at the end.
    private let temporaryDirectory: String?

    init(_ options: Options) throws {
        var recordings: [Recording] = []
        for argument in options.recordings { recordings.append(try Recording.load(argument)) }
        let tls = try SimulatorTLS(options.tlsDirectory)
        (caFile, temporaryDirectory) = (tls.caFile, tls.temporaryDirectory)
        loop = try EventLoop(name: "simulator")
        let server = SimulatorServer(options, recordings: recordings, loop: loop)
        self.server = server
        let door = SimulatorDoor(server)
        http = try HTTPServer(
            HTTPServerConfiguration(port: options.port, tls: tls.settings), loops: [loop], handler: door,
            webSockets: ["/*": door])
        port = http.port
        loop.execute { server.assumeIsolated { $0.tick() } }
    }

    /// The line that says where we are.
    static func listeningLine(port: Int, caFile: String) -> String {
        var writer = ByteWriter(capacity: 200)
        writer.raw("{\"event\":\"listening\",\"port\":\(port),\"caFile\":")
        writer.string(caFile)
        writer.literal("}\n")
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    func stop() {
        loop.execute { [server] in server.assumeIsolated { $0.stop() } }
        http.stop()
        loop.stop()
        if let temporaryDirectory { try? FileManager.default.removeItem(atPath: temporaryDirectory) }
    }
}

/// Waits for the end: SIGTERM, SIGINT, or the end of the lifeline.
struct EndWaiter {
    private let signals: sigset_t

    /// Call before any thread is started, so that all of them leave the signals to us.
    init() {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        unsafe sigaddset(&set, SIGTERM)
        unsafe sigaddset(&set, SIGINT)
        unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
        signals = set
    }

    /// Blocks until it is time to go.
    func wait(lifeline: Int32?) {
        var set = signals
        var pause = timespec(tv_sec: 0, tv_nsec: 200_000_000)
        while unsafe sigtimedwait(&set, nil, &pause) < 0 {
            if let lifeline, hasEnded(lifeline) { return }
        }
    }

    /// Whether the other end is gone; bytes on the lifeline mean nothing.
    private func hasEnded(_ lifeline: Int32) -> Bool {
        var watched = pollfd(fd: lifeline, events: Int16(POLLIN), revents: 0)
        guard unsafe poll(&watched, 1, 0) > 0 else { return false }
        var byte: UInt8 = 0
        return unsafe read(lifeline, &byte, 1) <= 0
    }
}
