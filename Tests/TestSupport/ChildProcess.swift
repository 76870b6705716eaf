package import Glibc
import Telemetry

/// A child process could not be started or waited for.
package struct ChildError: Error, CustomStringConvertible {
    package var message: String
    package var description: String { message }

    package init(message: String) { self.message = message }
}

/// A child process with its output collected; killed by its id when the owner goes.
package final class ChildProcess: Sendable {
    private struct Collected {
        var output: [UInt8] = []
        var errors: [UInt8] = []
        var exitStatus: Int32?
        /// How many of output and errors have not come to their end.
        var openPipes = 2
    }

    package let id: pid_t
    private let collected = Guarded(Collected())

    /// Starts a program by its path; `environment` is added to the own one.
    package init(_ program: String, _ arguments: [String], environment: [String: String] = [:]) throws {
        var out: [Int32] = [0, 0]
        var err: [Int32] = [0, 0]
        guard unsafe pipe(&out) == 0, unsafe pipe(&err) == 0 else {
            throw ChildError(message: "pipe: errno \(errno)")
        }
        for descriptor in out + err { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        unsafe posix_spawn_file_actions_adddup2(&actions, out[1], 1)
        unsafe posix_spawn_file_actions_adddup2(&actions, err[1], 2)
        var words: [UnsafeMutablePointer<CChar>?] = unsafe ([program] + arguments).map { unsafe strdup($0) }
        unsafe words.append(nil)
        var variables = unsafe Self.environment(adding: environment).map { unsafe strdup($0) }
        unsafe variables.append(nil)
        defer { unsafe (words + variables).forEach { unsafe free($0) } }
        var child: pid_t = 0
        let code = unsafe posix_spawn(&child, program, &actions, nil, words, variables)
        close(out[1])
        close(err[1])
        guard code == 0 else {
            close(out[0])
            close(err[0])
            throw ChildError(message: "\(program): \(unsafe String(cString: strerror(code)))")
        }
        id = child
        let (collected, outEnd, errEnd, pid) = (collected, out[0], err[0], child)
        let ended: @Sendable () -> Void = { collected.withLock { $0.openPipes -= 1 } }
        Self.drain(outEnd, ended) { piece in collected.withLock { $0.output += piece } }
        Self.drain(errEnd, ended) { piece in collected.withLock { $0.errors += piece } }
        startThread {
            var status: Int32 = 0
            while unsafe waitpid(pid, &status, 0) < 0 && errno == EINTR {}
            let final = status
            collected.withLock { $0.exitStatus = final }
        }
    }

    deinit { send(SIGKILL) }

    package var output: String { String(decoding: collected.withLock { $0.output }, as: UTF8.self) }
    package var errors: String { String(decoding: collected.withLock { $0.errors }, as: UTF8.self) }
    package var isRunning: Bool { collected.withLock { $0.exitStatus == nil } }

    /// The exit code, or 128 + signal; nil while it runs.
    package var exitCode: Int32? {
        collected.withLock { $0.exitStatus }.map { status in
            status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
        }
    }

    /// Sends a signal to this child only, and only while it has not been waited for.
    package func send(_ signal: Int32) {
        let id = id
        collected.withLock { if $0.exitStatus == nil { kill(id, signal) } }
    }

    /// Waits for the end, and for all that was written before it.
    @discardableResult
    package func waitForExit(within deadline: Duration = .seconds(30)) async throws -> Int32 {
        try await eventually("the end of process \(id)", within: deadline) {
            collected.withLock { $0.exitStatus != nil && $0.openPipes == 0 }
        }
        return exitCode ?? -1
    }

    private static func environment(adding more: [String: String]) -> [String] {
        var all: [String] = []
        var next = unsafe environ
        while let entry = unsafe next.pointee {
            let text = unsafe String(cString: entry)
            if more[String(text.prefix { $0 != "=" })] == nil { all.append(text) }
            unsafe next = next.advanced(by: 1)
        }
        return all + more.map { "\($0.key)=\($0.value)" }
    }

    private static func drain(
        _ descriptor: Int32, _ ended: @escaping @Sendable () -> Void,
        _ take: @escaping @Sendable ([UInt8]) -> Void
    ) {
        startThread {
            var buffer = [UInt8](repeating: 0, count: 16 << 10)
            while true {
                let count = unsafe read(descriptor, &buffer, buffer.count)
                if count < 0 && errno == EINTR { continue }
                if count <= 0 { break }
                take(Array(buffer[..<count]))
            }
            close(descriptor)
            ended()
        }
    }
}

/// A thread for a blocking call; the pool of Swift's tasks is not for that.
private final class ThreadBody {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}

private func threadMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument = unsafe argument else { return nil }
    unsafe Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue().run()
    return nil
}

private func startThread(_ run: @escaping @Sendable () -> Void) {
    var thread = pthread_t()
    let body = unsafe Unmanaged.passRetained(ThreadBody(run)).toOpaque()
    if unsafe pthread_create(&thread, nil, threadMain, body) == 0 { pthread_detach(thread) }
}
