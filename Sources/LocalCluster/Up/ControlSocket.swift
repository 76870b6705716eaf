import Glibc
import K8sClient
import Synchronization
import Telemetry

/// The door of a running `fathom up` for other commands of the same user: a socket in its data directory, which is private.
///
/// An order is one line with a JSON object; the answers are such lines too: `say` tells progress, the last one has `done` or `error`.
final class ControlSocket: Sendable {
    typealias Reply = @Sendable (JSONValue) -> Void
    static let fileName = "up.sock"

    private let descriptor: Int32
    private let path: String
    /// Each open connection has a thread that waits for its order.
    private let open = Atomic<Int>(0)
    private static let mostOpen = 16

    private init(descriptor: Int32, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    /// Listens; `answer` is called for each order, and its last reply ends the connection.
    static func open(
        in directory: String, answer: @escaping @Sendable (JSONValue, @escaping Reply) async -> Void
    ) throws(LocalClusterError) -> ControlSocket {
        let path = "\(directory)/\(fileName)"
        unsafe unlink(path)
        let descriptor = try unsafe UnixSocket.named(fileName, in: directory) { listening, address, size in
            let isBound = unsafe bind(listening, address, size) == 0
            return isBound && listen(listening, 8) == 0
        }
        unsafe chmod(path, 0o600)
        let door = ControlSocket(descriptor: descriptor, path: path)
        BackgroundThread.start { door.serve(answer) }
        return door
    }

    /// Nobody is let in any more.
    func close() {
        unsafe unlink(path)
        // Wakes the thread in `accept`, which then ends.
        shutdown(descriptor, Int32(SHUT_RDWR))
    }

    private func serve(_ answer: @escaping @Sendable (JSONValue, @escaping Reply) async -> Void) {
        while true {
            let client = accept(descriptor, nil, nil)
            if client < 0 {
                if errno == EINTR || errno == ECONNABORTED { continue }
                break
            }
            _ = fcntl(client, F_SETFD, FD_CLOEXEC)
            guard open.wrappingAdd(1, ordering: .relaxed).newValue <= Self.mostOpen else {
                open.wrappingSubtract(1, ordering: .relaxed)
                Glibc.close(client)
                continue
            }
            BackgroundThread.start { [self] in
                attend(client, answer)
            }
        }
        Glibc.close(descriptor)
    }

    private func attend(
        _ client: Int32, _ answer: @escaping @Sendable (JSONValue, @escaping Reply) async -> Void
    ) {
        UnixSocket.limitWaits(of: client, seconds: 5)
        var lines = LineReader(descriptor: client)
        let order = lines.next().flatMap { JSONValue(text: $0) }
        Task { [self] in
            let reply: Reply = { _ = Files.writeAll($0.bytes + [UInt8(ascii: "\n")], to: client) }
            if let order { await answer(order, reply) } else { reply(["error": "expected a line of JSON"]) }
            Glibc.close(client)
            open.wrappingSubtract(1, ordering: .relaxed)
        }
    }
}

/// Sockets with a name in a directory, however long its path is.
enum UnixSocket {
    /// A socket on which `use` succeeded with the address of `name` in `directory`.
    static func named(
        _ name: String, in directory: String,
        _ use: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Bool
    ) throws(LocalClusterError) -> Int32 {
        // An address has room for 107 bytes only; the way through a descriptor is always short.
        let folder = unsafe Glibc.open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw LocalClusterError("cannot open \(directory): \(Files.reason())") }
        defer { close(folder) }
        let descriptor = socket(
            AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else {
            throw LocalClusterError("cannot create a socket: \(Files.reason())")
        }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let path = Array("/proc/self/fd/\(folder)/\(name)".utf8)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { room in
            for (index, byte) in path.enumerated() where index < room.count - 1 {
                unsafe room[index] = byte
            }
        }
        let isUsed = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe use(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard isUsed else {
            let reason = Files.reason()
            close(descriptor)
            throw LocalClusterError("cannot use the socket \(directory)/\(name): \(reason)")
        }
        return descriptor
    }

    /// Reads and writes give up after so long.
    static func limitWaits(of descriptor: Int32, seconds: Int) {
        var time = timeval(tv_sec: seconds, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            unsafe setsockopt(
                descriptor, SOL_SOCKET, option, &time, socklen_t(MemoryLayout<timeval>.size))
        }
    }
}

/// Lines from a descriptor, each of at most 64 KiB.
struct LineReader {
    let descriptor: Int32
    private var pending: [UInt8] = []

    init(descriptor: Int32) { self.descriptor = descriptor }

    /// The next line; nil at the end, after an error and instead of one that is too long.
    mutating func next() -> String? {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            if let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
                let line = String(decoding: pending[..<end], as: UTF8.self)
                pending.removeFirst(end + 1)
                return line
            }
            guard pending.count < 1 << 16 else { return nil }
            let count = unsafe read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return nil }
            pending += buffer[..<count]
        }
    }
}
