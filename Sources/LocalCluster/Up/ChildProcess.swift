import Glibc
import Telemetry

/// One run of a program as our direct child: own process group, output to a log file, and a lifeline pipe whose end
/// tells it that we are gone.
final class ChildProcess: Sendable {
    private struct State {
        var exit: Int32?
        var waiters: [CheckedContinuation<Int32, Never>] = []
        var lastLines: [String] = []
    }

    let name: String
    let pid: pid_t
    private let lifeline: Int32
    private let state = Guarded(State())

    /// The number that the lifeline has in the child.
    static let lifelineDescriptor: Int32 = 3

    private init(name: String, pid: pid_t, lifeline: Int32) {
        self.name = name
        self.pid = pid
        self.lifeline = lifeline
    }

    /// Starts a program; `onLine` sees each line of its output.
    static func start(
        name: String, program: String, arguments: [String], logFile: String,
        onLine: @escaping @Sendable (String) -> Void
    ) throws(LocalClusterError) -> ChildProcess {
        let log = unsafe open(logFile, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard log >= 0 else { throw LocalClusterError("cannot write \(logFile): \(Files.reason())") }
        var output: [Int32] = [0, 0]
        var life: [Int32] = [0, 0]
        guard unsafe pipe(&output) == 0 else {
            close(log)
            throw LocalClusterError("cannot create a pipe: \(Files.reason())")
        }
        guard unsafe pipe(&life) == 0 else {
            for descriptor in output + [log] { close(descriptor) }
            throw LocalClusterError("cannot create a pipe: \(Files.reason())")
        }
        let pid: pid_t
        do throws(LocalClusterError) {
            pid = try spawn(program, [program] + arguments, output: output[1], lifeline: life[0])
        } catch {
            for descriptor in output + life + [log] { close(descriptor) }
            throw error
        }
        close(output[1])
        close(life[0])
        let child = ChildProcess(name: name, pid: pid, lifeline: life[1])
        let source = output[0]
        BackgroundThread.start {
            child.pump(from: source, to: log, onLine)
            child.reap()
        }
        return child
    }

    private static func spawn(
        _ program: String, _ words: [String], output: Int32, lifeline: Int32
    ) throws(LocalClusterError) -> pid_t {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        unsafe posix_spawn_file_actions_adddup2(&actions, output, 1)
        unsafe posix_spawn_file_actions_adddup2(&actions, output, 2)
        unsafe posix_spawn_file_actions_adddup2(&actions, lifeline, lifelineDescriptor)
        // Whatever else is open here, among it the lifelines of the other children, is none of its business.
        for other in (lifelineDescriptor + 1)..<1024 {
            unsafe posix_spawn_file_actions_addclose(&actions, other)
        }
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        // We block the ending signals in all our threads; a child begins with none blocked or ignored.
        var none = sigset_t()
        unsafe sigemptyset(&none)
        var defaults = sigset_t()
        unsafe sigemptyset(&defaults)
        for number in [SIGPIPE, SIGINT, SIGTERM, SIGHUP] { unsafe sigaddset(&defaults, number) }
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        unsafe posix_spawnattr_setsigdefault(&attributes, &defaults)
        unsafe posix_spawnattr_setpgroup(&attributes, 0)
        let flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF
        unsafe posix_spawnattr_setflags(&attributes, Int16(flags))
        var pointers: [UnsafeMutablePointer<CChar>?] = unsafe words.map { unsafe strdup($0) } + [nil]
        defer { for index in unsafe pointers.indices { unsafe free(pointers[index]) } }
        var pid = pid_t()
        let code = unsafe posix_spawn(&pid, program, &actions, &attributes, &pointers, environ)
        guard code == 0 else {
            throw LocalClusterError("cannot start \(program): \(unsafe String(cString: strerror(code)))")
        }
        return pid
    }

    /// Copies the output to the log line by line, until the child has closed it.
    private func pump(from source: Int32, to log: Int32, _ onLine: (String) -> Void) {
        var pending: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = unsafe read(source, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            _ = Files.writeAll(Array(buffer[..<count]), to: log)
            pending += buffer[..<count]
            while let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
                note(String(decoding: pending[..<end], as: UTF8.self), onLine)
                pending.removeFirst(end + 1)
            }
            if pending.count > 1 << 20 { pending.removeAll() }
        }
        if !pending.isEmpty { note(String(decoding: pending, as: UTF8.self), onLine) }
        close(source)
        close(log)
    }

    private func note(_ line: String, _ onLine: (String) -> Void) {
        state.withLock { $0.lastLines = $0.lastLines.suffix(9) + [line] }
        onLine(line)
    }

    private func reap() {
        var status: Int32 = 0
        while unsafe waitpid(pid, &status, 0) < 0, errno == EINTR {}
        close(lifeline)
        let code = status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f)
        let waiters = state.withLock { state in
            state.exit = code
            let waiters = state.waiters
            state.waiters = []
            return waiters
        }
        for waiter in waiters { waiter.resume(returning: code) }
    }

    /// The exit code, 128 + signal for a killed one; nil while it runs.
    var exitCode: Int32? { state.withLock { $0.exit } }
    var lastLines: [String] { state.withLock { $0.lastLines } }

    func waitForExit() async -> Int32 {
        await withCheckedContinuation { continuation in
            let known = state.withLock { state -> Int32? in
                if state.exit == nil { state.waiters.append(continuation) }
                return state.exit
            }
            if let known { continuation.resume(returning: known) }
        }
    }

    func send(_ signal: Int32) {
        // Only while it is not reaped: afterwards the number may belong to somebody else.
        state.withLock { if $0.exit == nil { kill(pid, signal) } }
    }

    /// Asks it to end, and ends it by force after the deadline.
    ///
    /// SIGTERM lets workers and gateways hand over first, as in a cluster; SIGINT does not.
    func stop(within deadline: Duration, by signal: Int32 = SIGTERM) async {
        send(signal)
        let end = ContinuousClock.now + deadline
        while exitCode == nil, ContinuousClock.now < end { try? await Task.sleep(for: .milliseconds(20)) }
        if exitCode == nil { send(SIGKILL) }
        _ = await waitForExit()
    }
}

/// A thread for calls that block as long as they like.
enum BackgroundThread {
    fileprivate final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    static func start(_ body: @escaping @Sendable () -> Void) {
        let box = unsafe Unmanaged.passRetained(Body(body)).toOpaque()
        var thread = pthread_t()
        guard unsafe pthread_create(&thread, nil, runThreadBody, box) == 0 else {
            unsafe Unmanaged<Body>.fromOpaque(box).release()
            return
        }
        pthread_detach(thread)
    }
}

/// The pthread entry: takes back the reference that `start` gave away.
private func runThreadBody(_ raw: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    if let raw = unsafe raw {
        unsafe Unmanaged<BackgroundThread.Body>.fromOpaque(raw).takeRetainedValue().run()
    }
    return nil
}
