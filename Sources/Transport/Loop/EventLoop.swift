internal import CWebSockets
internal import Glibc
internal import Synchronization
import Telemetry

/// One thread that serves one libwebsockets context, and a Swift executor: actors pinned to it run there without a hop.
///
/// State of a connection belongs to its loop. C callbacks arrive on the loop's thread and enter actors by
/// `assumeIsolated`; others reach them with `await` or `execute`.
// Safe because: the context pointer is written once before the thread starts; libwebsockets is called on that thread only
// once it runs, but for lws_cancel_service, which it allows from any; `timers`, `isAfterWait` and `turn` are touched on that thread only.
@safe package final class EventLoop: SerialExecutor, @unchecked Sendable {
    private struct Inbox {
        var jobs: [Job] = []
        var isStopping = false
        var hasStopped = false
        var thread: pthread_t?
    }
    private enum Job {
        case actorJob(UnownedJob)
        case closure(@Sendable () -> Void)
    }

    package let name: String
    let context: OpaquePointer
    private let inbox = Guarded(Inbox())
    private let timers: LoopTimers
    /// Whether what runs now runs after the wait for sockets, so that jobs are looked at before the next; on the thread only.
    private var isAfterWait = false
    /// How often sockets have had their turn; on the thread only.
    private(set) var turn: UInt64 = 0
    /// The thread as a number, 0 before it runs; asked for every frame, so not behind the lock.
    private let threadNumber = Atomic<UInt>(0)

    /// Starts the thread.
    package init(name: String) throws(TransportError) {
        self.name = name
        var info = unsafe lws_context_creation_info()
        unsafe info.port = -1  // CONTEXT_PORT_NO_LISTEN; the macro is not imported
        unsafe info.gid = -1
        unsafe info.uid = -1
        unsafe info.protocols = UnsafePointer(LoopProtocols.shared.pointer)
        unsafe info.options =
            UInt64(LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT) | UInt64(LWS_SERVER_OPTION_EXPLICIT_VHOSTS)
        unsafe info.pt_serv_buf_size = 131_072
        unsafe lws_set_log_level(LLL_ERR, forwardLog)
        guard let context = unsafe lws_create_context(&info) else {
            throw TransportError("libwebsockets could not be started", source: .ours)
        }
        // Without TLS, which our clients do themselves: libwebsockets would make a TLS context for clients here, load the
        // system's authorities into it, and never free it if another loop lives when this one ends.
        unsafe info.options = 0
        unsafe info.vhost_name = ConstantCString("default").constant
        guard unsafe lws_create_vhost(context, &info) != nil else {
            unsafe lws_context_destroy(context)
            throw TransportError("libwebsockets made no vhost", source: .ours)
        }
        do throws(TransportError) { timers = try LoopTimers() } catch {
            unsafe lws_context_destroy(context)
            throw error
        }
        unsafe self.context = unsafe context
        guard timers.attach(to: self) else {
            unsafe lws_context_destroy(context)
            throw TransportError("libwebsockets took no timer", source: .ours)
        }
        let box = unsafe Unmanaged.passRetained(self).toOpaque()
        var thread = pthread_t()
        guard unsafe pthread_create(&thread, nil, runLoop, box) == 0 else {
            unsafe Unmanaged<EventLoop>.fromOpaque(box).release()
            unsafe lws_context_destroy(context)
            throw TransportError("no thread for the event loop \(name)", source: .ours)
        }
        let started = thread
        inbox.withLock { $0.thread = started }
    }

    /// Whether the caller runs on this loop's thread.
    package var isOnLoop: Bool { threadNumber.load(ordering: .relaxed) == UInt(pthread_self()) }

    package func enqueue(_ job: consuming ExecutorJob) { add(.actorJob(UnownedJob(job))) }
    package func isIsolatingCurrentContext() -> Bool? { isOnLoop }
    package func checkIsolated() { assertOnLoop() }

    /// A mistake of ours, not of any input: loop-bound state was touched from another thread.
    package func assertOnLoop() { assert(isOnLoop, "not on the thread of the event loop \(name)") }

    /// Runs `job` on the loop's thread, soon.
    package func execute(_ job: @escaping @Sendable () -> Void) { add(.closure(job)) }

    /// Runs `job` on the loop's thread after a delay, unless it is cancelled before.
    @discardableResult
    package func schedule(after delay: Duration, _ job: @escaping @Sendable () -> Void) -> LoopTimer {
        let timer = LoopTimer(due: ContinuousClock.now + delay, job: job)
        if isOnLoop {
            timers.add(timer)
        } else {
            execute { [timers] in timers.add(timer) }
        }
        return timer
    }

    /// Ends the thread after the jobs that are waiting, closes every connection, and joins the thread.
    ///
    /// Not from the loop's own thread.
    package func stop() {
        let thread = inbox.withLock { inbox in
            inbox.isStopping = true
            let thread = inbox.thread
            inbox.thread = inbox.hasStopped ? nil : inbox.thread
            return inbox.hasStopped ? nil : thread
        }
        guard let thread else { return }
        wake()
        pthread_join(thread, nil)
        inbox.withLock { $0.thread = nil }
    }

    private func wake() {
        inbox.withLock { inbox in
            if !inbox.hasStopped { unsafe lws_cancel_service(context) }
        }
    }

    private func add(_ job: Job) {
        let comesBeforeNextWait = isOnLoop && isAfterWait
        inbox.withLock { inbox in
            guard !inbox.hasStopped else { return }
            inbox.jobs.append(job)
            // One wake-up, which is a system call, is enough for all that wait.
            if inbox.jobs.count == 1, !comesBeforeNextWait { unsafe lws_cancel_service(context) }
        }
    }

    /// Lets `body` take what a socket or the timer has brought: libwebsockets delivers that after its wait only, unlike closes.
    func afterWait(_ body: () -> Void) {
        isAfterWait = true
        body()
        isAfterWait = false
    }

    fileprivate func run() {
        threadNumber.store(UInt(pthread_self()), ordering: .relaxed)
        defer { threadNumber.store(0, ordering: .relaxed) }
        while true {
            let (jobs, isStopping) = inbox.withLock { inbox in
                let taken = inbox.jobs
                inbox.jobs = []
                return (taken, inbox.isStopping)
            }
            isAfterWait = true
            for job in jobs { carryOut(job) }
            isAfterWait = false
            if jobs.isEmpty && isStopping { break }
            // Sockets get their turn however many jobs come, but are not waited for (-1) while one is left.
            let isIdle = inbox.withLock { $0.jobs.isEmpty }
            turn &+= 1
            unsafe lws_service(context, isIdle ? 0 : -1)
        }
        timers.stop()
        let left = inbox.withLock { inbox in
            inbox.hasStopped = true
            let taken = inbox.jobs
            inbox.jobs = []
            return taken
        }
        for job in left { carryOut(job) }
        unsafe lws_context_destroy(context)
    }

    private func carryOut(_ job: Job) {
        switch job {
        case .actorJob(let job): unsafe job.runSynchronously(on: asUnownedSerialExecutor())
        case .closure(let body): body()
        }
    }
}

/// The pthread entry: takes back the reference that `init` gave away.
private func runLoop(_ raw: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let raw = unsafe raw else { return nil }
    unsafe Unmanaged<EventLoop>.fromOpaque(raw).takeRetainedValue().run()
    return nil
}

private let log = Log("libwebsockets")

private func forwardLog(_ level: Int32, _ line: UnsafePointer<CChar>?) {
    guard let line = unsafe line else { return }
    var text = unsafe String(cString: line)
    while text.last?.isNewline == true { text.removeLast() }
    log.debug("Library message", ["text": text])
}
