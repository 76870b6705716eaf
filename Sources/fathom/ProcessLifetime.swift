import Glibc
import Synchronization

/// How the process ends: by a signal, by the death of its parent, or because its work is done.
enum ProcessLifetime {
    /// The environment as a dictionary, read once.
    static let environment: [String: String] = {
        var variables: [String: String] = [:]
        var next = unsafe environ
        while let entry = unsafe next.pointee {
            let text = unsafe String(cString: entry)
            if let split = text.firstIndex(of: "=") {
                variables[String(text[..<split])] = String(text[text.index(after: split)...])
            }
            unsafe next += 1
        }
        return variables
    }()

    /// Which descriptor the signal handler writes to, and the watching thread reads from.
    private static let signalPipe: (reading: Int32, writing: Int32) = {
        var ends: [Int32] = [-1, -1]
        guard unsafe pipe(&ends) == 0 else { return (-1, -1) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }()
    fileprivate static let handlerDescriptor = Atomic<Int32>(-1)
    private static let isHurried = Atomic<Bool>(false)
    /// 0: none came.
    private static let firstSignal = Atomic<Int32>(0)

    /// The signal that asked for the end; nil: none has.
    static var endingSignal: Int32? {
        let number = firstSignal.load(ordering: .acquiring)
        return number == 0 ? nil : number
    }

    /// Whether the end was asked for by SIGINT (as `fathom up` does when everything stops) or by the death of the parent.
    ///
    /// SIGTERM, which Kubernetes sends, leaves time to hand over.
    static var mustHurry: Bool { isHurried.load(ordering: .acquiring) }

    /// SIGINT and SIGTERM become bytes in a pipe, whichever thread they reach; SIGPIPE is an error of a write.
    static func prepareSignals() {
        handlerDescriptor.store(signalPipe.writing, ordering: .releasing)
        signal(SIGINT, noteSignal)
        signal(SIGTERM, noteSignal)
        signal(SIGPIPE, SIG_IGN)
    }

    /// libwebsockets makes tables of this length for each loop, so an unlimited hard limit is not followed all the way.
    private static let mostDescriptors: rlim_t = 1 << 16

    /// Lets the process open as many files and sockets as its hard limit allows; the usual soft limit of 1,024 is for `select`.
    static func raiseDescriptorLimit() {
        var limit = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        let wanted = min(limit.rlim_max, mostDescriptors)
        guard limit.rlim_cur < wanted else { return }
        limit.rlim_cur = wanted
        // What fails here shows later, as an error that names the shortage.
        _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }

    /// Runs `body` and cancels it at the first ending signal or when `lifeline` closes; a second signal ends at once.
    static func run(lifeline: Int?, _ body: @escaping @Sendable () async throws -> Void) async throws {
        let work = Task { try await body() }
        let cancel: @Sendable () -> Void = { work.cancel() }
        watch {
            waitForSignals { number in
                firstSignal.store(number, ordering: .releasing)
                if number == SIGINT { isHurried.store(true, ordering: .releasing) }
                cancel()
            }
        }
        if let lifeline {
            watch {
                waitForEnd(of: Int32(lifeline))
                isHurried.store(true, ordering: .releasing)
                cancel()
            }
        }
        try await work.value
    }

    private static func waitForSignals(first: @Sendable (Int32) -> Void) {
        guard let ending = readSignal() else { return }
        first(ending)
        guard let number = readSignal() else { return }
        _exit(128 + number)
    }

    private static func readSignal() -> Int32? {
        var number: UInt8 = 0
        while true {
            let count = unsafe read(signalPipe.reading, &number, 1)
            if count == 1 { return Int32(number) }
            if count == 0 || errno != EINTR { return nil }
        }
    }

    private static func waitForEnd(of descriptor: Int32) {
        var byte: UInt8 = 0
        while true {
            let count = unsafe read(descriptor, &byte, 1)
            if count == 0 || (count < 0 && errno != EINTR) { return }
        }
    }

    /// Starts a thread that lives as long as the process.
    private static func watch(_ body: @escaping @Sendable () -> Void) {
        let box = unsafe Unmanaged.passRetained(ThreadBody(body)).toOpaque()
        var thread = pthread_t()
        let code = unsafe pthread_create(&thread, nil, runThreadBody, box)
        guard code == 0 else {
            unsafe Unmanaged<ThreadBody>.fromOpaque(box).release()
            return
        }
        pthread_detach(thread)
    }
}

private final class ThreadBody: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}

/// The pthread entry: takes back the reference that `watch` gave away.
private func runThreadBody(_ raw: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let raw = unsafe raw else { return nil }
    unsafe Unmanaged<ThreadBody>.fromOpaque(raw).takeRetainedValue().body()
    return nil
}

/// The signal handler: only what POSIX allows in one.
private func noteSignal(_ number: Int32) {
    var byte = UInt8(truncatingIfNeeded: number)
    let saved = errno
    _ = unsafe write(ProcessLifetime.handlerDescriptor.load(ordering: .acquiring), &byte, 1)
    errno = saved
}
