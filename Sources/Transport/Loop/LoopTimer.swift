internal import CWebSockets
internal import Glibc
internal import Synchronization

/// Something that a loop will do at a time, unless it is cancelled.
package final class LoopTimer: Sendable {
    let due: ContinuousClock.Instant
    private let job: @Sendable () -> Void
    private let isCancelled = Atomic<Bool>(false)

    init(due: ContinuousClock.Instant, job: @escaping @Sendable () -> Void) {
        self.due = due
        self.job = job
    }

    /// From any thread; a job that has begun is not stopped.
    package func cancel() { isCancelled.store(true, ordering: .releasing) }

    func fire() {
        if !isCancelled.exchange(true, ordering: .acquiringAndReleasing) { job() }
    }
}

/// A loop's timers: a heap by due time, and one timer of the kernel for the earliest, which the loop waits for like a socket.
///
/// Not libwebsockets' own timers: it waits for whole milliseconds, rounded down, and for what is left of the last one it goes
/// round and round without waiting, which takes a core from others for half a millisecond at each timer.
// Safe because: used on the loop's thread only, but for `attach`, which ends before that thread begins.
@safe final class LoopTimers: LoopConnection, @unchecked Sendable {
    private let descriptor: Int32
    private weak var loop: EventLoop?
    private var heap: [LoopTimer] = []
    private var isFiring = false
    private var isStopped = false
    /// The kernel is asked for at most so much.
    private static let longest = Duration.seconds(24 * 3600)

    init() throws(TransportError) {
        descriptor = cwebsockets_timer()
        guard descriptor >= 0 else {
            throw TransportError("no timer: \(unsafe String(cString: strerror(errno)))", source: .ours)
        }
    }

    /// Gives the descriptor to libwebsockets, which closes it with the context; false if it was not taken, and it is closed then.
    func attach(to loop: EventLoop) -> Bool {
        self.loop = loop
        var file = lws_sock_file_fd_type()
        unsafe file.filefd = descriptor
        guard let vhost = unsafe lws_get_vhost_by_name(loop.context, "default"),
            let wsi = unsafe lws_adopt_descriptor_vhost(
                vhost, LWS_ADOPT_RAW_FILE_DESC, file, LoopProtocols.name.pointer, nil)
        else {
            // libwebsockets closes sockets that it refuses, files not.
            closeSocket(descriptor)
            return false
        }
        unsafe lws_set_opaque_user_data(wsi, Unmanaged.passRetained(ConnectionBox(self)).toOpaque())
        return true
    }

    func receive(_ reason: lws_callback_reasons, _ bytes: UnsafeRawBufferPointer) -> Int32 {
        guard reason == LWS_CALLBACK_RAW_RX_FILE else { return 0 }
        var expirations: UInt64 = 0
        _ = unsafe read(descriptor, &expirations, MemoryLayout<UInt64>.size)
        loop?.afterWait { fire() }
        return 0
    }

    func destroyed() {}

    func stop() {
        isStopped = true
        heap = []
    }

    func add(_ timer: LoopTimer) {
        guard !isStopped else { return }
        heap.append(timer)
        var child = heap.count - 1
        while child > 0, heap[child].due < heap[(child - 1) / 2].due {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
        if child == 0, !isFiring { arm() }
    }

    private func fire() {
        isFiring = true
        let now = ContinuousClock.now
        while let first = heap.first, first.due <= now {
            removeFirst()
            first.fire()
        }
        isFiring = false
        arm()
    }

    private func arm() {
        guard let first = heap.first else { return }
        // Whoever is woken too early looks and waits again. The call fails only for a descriptor that is no timer, or for a time
        // that is none, which these cannot be.
        let left = min(max(.nanoseconds(1), first.due - ContinuousClock.now), Self.longest)
        let (seconds, attoseconds) = left.components
        _ = cwebsockets_arm(descriptor, Int(seconds) * 1_000_000_000 + Int(attoseconds / 1_000_000_000) + 1)
    }

    private func removeFirst() {
        let last = heap.removeLast()
        guard !heap.isEmpty else { return }
        heap[0] = last
        var parent = 0
        while true {
            var smallest = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < heap.count && heap[child].due < heap[smallest].due {
                smallest = child
            }
            guard smallest != parent else { return }
            heap.swapAt(parent, smallest)
            parent = smallest
        }
    }
}
