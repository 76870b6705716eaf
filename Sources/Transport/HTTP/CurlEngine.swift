internal import CCurl
internal import Glibc
internal import Synchronization
import Telemetry

/// The thread behind `HTTPClient`: owns the multi handle and every transfer; others only leave commands.
// Safe because: `multi` is used by the engine's thread alone, but for curl_multi_wakeup, which libcurl allows from any
// thread while the handle lives; the handle is freed by that thread after `isStopped`, which `submit` checks under the lock.
@safe final class CurlEngine: @unchecked Sendable {
    enum Command {
        case start(CurlJob)
        case resume(UInt64)
        case abandon(UInt64)
    }
    private struct Inbox {
        var commands: [Command] = []
        var isStopped = false
    }
    // Safe because: a job is handed over with its command and then lives on the engine's thread only.
    private struct Transferred: @unchecked Sendable { var command: Command }

    private let multi: UnsafeMutableRawPointer
    private let inbox = Guarded(Inbox())
    private let numbers = Atomic<UInt64>(1)
    private var running: [UInt64: (job: CurlJob, transfer: CurlTransfer)] = [:]
    private var numberOfHandle: [UInt: UInt64] = [:]  // by the handle's address

    private static let isLibraryReady: Bool = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

    init(connectionsPerHost: Int) throws(TransportError) {
        guard Self.isLibraryReady, let multi = unsafe curl_multi_init() else {
            throw TransportError("libcurl could not be started", source: .ours)
        }
        unsafe self.multi = unsafe multi
        unsafe ccurl_multi_setopt_long(multi, CURLMOPT_MAX_HOST_CONNECTIONS, connectionsPerHost)
        unsafe ccurl_multi_setopt_long(multi, CURLMOPT_PIPELINING, 0)
        let box = unsafe Unmanaged.passRetained(self).toOpaque()
        var thread = pthread_t()
        guard unsafe pthread_create(&thread, nil, runEngine, box) == 0 else {
            unsafe Unmanaged<CurlEngine>.fromOpaque(box).release()
            throw TransportError("no thread for libcurl", source: .ours)
        }
        pthread_detach(thread)
    }

    func nextNumber() -> UInt64 { numbers.wrappingAdd(1, ordering: .relaxed).oldValue }

    func submit(_ command: Command) {
        let box = Transferred(command: command)
        let isStopped = inbox.withLock { inbox in
            if !inbox.isStopped {
                inbox.commands.append(box.command)
                unsafe curl_multi_wakeup(multi)
            }
            return inbox.isStopped
        }
        if isStopped, case .start(let job) = command { job.cancel() }
    }

    /// Ends the thread; transfers still running are cancelled.
    func stop() {
        inbox.withLock { inbox in
            inbox.isStopped = true
            unsafe curl_multi_wakeup(multi)
        }
    }

    fileprivate func run() {
        while true {
            let (commands, isStopped) = inbox.withLock { inbox in
                let taken = inbox.commands.map { Transferred(command: $0) }
                inbox.commands.removeAll()
                return (taken, inbox.isStopped)
            }
            for box in commands { carryOut(box.command) }
            if isStopped { break }
            var count: Int32 = 0
            unsafe curl_multi_perform(multi, &count)
            collectFinished()
            let isQuiet = inbox.withLock { $0.commands.isEmpty && !$0.isStopped }
            if isQuiet { unsafe curl_multi_poll(multi, nil, 0, 1_000, nil) }
        }
        for number in Array(running.keys) { remove(number)?.cancel() }
        unsafe curl_multi_cleanup(multi)
    }

    private func carryOut(_ command: Command) {
        switch command {
        case .start(let job): start(job)
        case .resume(let number):
            if let transfer = running[number]?.transfer {
                unsafe curl_easy_pause(transfer.handle, CURLPAUSE_CONT)
            }
        case .abandon(let number): remove(number)?.cancel()
        }
    }

    private func start(_ job: CurlJob) {
        guard let transfer = CurlTransfer(job.request, report: job.receive, take: job.take) else {
            job.receive(.failed(TransportError("libcurl has no memory for a transfer", source: .ours)))
            return
        }
        if let refusal = transfer.configure() {
            job.receive(.failed(refusal))
            return
        }
        running[job.number] = (job, transfer)
        unsafe numberOfHandle[UInt(bitPattern: transfer.handle)] = job.number
        let code = unsafe curl_multi_add_handle(multi, transfer.handle)
        if code != CURLM_OK {
            remove(job.number)?.receive(.failed(TransportError("libcurl refused a transfer", source: .ours)))
        }
    }

    private func remove(_ number: UInt64) -> CurlJob? {
        guard let entry = running.removeValue(forKey: number) else { return nil }
        unsafe numberOfHandle[UInt(bitPattern: entry.transfer.handle)] = nil
        unsafe curl_multi_remove_handle(multi, entry.transfer.handle)
        return entry.job
    }

    private func collectFinished() {
        var left: Int32 = 0
        while let message = unsafe curl_multi_info_read(multi, &left) {
            guard unsafe message.pointee.msg == CURLMSG_DONE, let handle = unsafe message.pointee.easy_handle
            else {
                continue
            }
            let code = unsafe message.pointee.data.result
            guard let number = numberOfHandle[UInt(bitPattern: handle)],
                let transfer = running[number]?.transfer
            else { continue }
            _ = remove(number)
            transfer.finish(code)
        }
    }
}

/// The pthread entry: takes back the reference that `init` gave away.
private func runEngine(_ raw: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let raw = unsafe raw else { return nil }
    unsafe Unmanaged<CurlEngine>.fromOpaque(raw).takeRetainedValue().run()
    return nil
}
