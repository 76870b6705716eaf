internal import CWebSockets
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

/// A loop's timers: a heap by due time, and one libwebsockets timer for the earliest.
// Safe because: used on the loop's thread only; `cell` is made in `init` and freed in `stop`, after which nothing is added.
@safe final class LoopTimers: @unchecked Sendable {
    private let context: OpaquePointer
    private let cell: UnsafeMutablePointer<TimerCell>
    private var heap: [LoopTimer] = []
    private var isStopped = false

    /// What libwebsockets keeps by address, and the way back to us.
    // Safe because: only the loop's thread reads it, through the one address that `LoopTimers` owns.
    @safe fileprivate struct TimerCell {
        var entry: lws_sorted_usec_list_t
        var owner: UnsafeMutableRawPointer?
    }

    init(context: OpaquePointer) {
        unsafe self.context = context
        unsafe cell = .allocate(capacity: 1)
        unsafe cell.initialize(to: TimerCell(entry: lws_sorted_usec_list_t(), owner: nil))
        unsafe cell.pointee.owner = unsafe Unmanaged.passUnretained(self).toOpaque()
    }

    deinit { unsafe cell.deallocate() }

    func stop() {
        isStopped = true
        heap = []
        unsafe lws_sul_schedule(context, 0, entry, timerFired, -1)
    }

    func add(_ timer: LoopTimer) {
        guard !isStopped else { return }
        heap.append(timer)
        var child = heap.count - 1
        while child > 0, heap[child].due < heap[(child - 1) / 2].due {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
        if child == 0 { arm() }
    }

    fileprivate func fire() {
        let now = ContinuousClock.now
        while let first = heap.first, first.due <= now {
            removeFirst()
            first.fire()
        }
        arm()
    }

    private var entry: UnsafeMutablePointer<lws_sorted_usec_list_t> {
        unsafe UnsafeMutableRawPointer(cell).assumingMemoryBound(to: lws_sorted_usec_list_t.self)
    }

    private func arm() {
        guard let first = heap.first else { return }
        let (seconds, attoseconds) = (first.due - ContinuousClock.now).components
        let microseconds = max(1, seconds * 1_000_000 + attoseconds / 1_000_000_000_000 + 1)
        unsafe lws_sul_schedule(context, 0, entry, timerFired, microseconds)
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

private func timerFired(_ entry: UnsafeMutablePointer<lws_sorted_usec_list_t>?) {
    guard let entry = unsafe entry else { return }
    let cell = unsafe UnsafeMutableRawPointer(entry).assumingMemoryBound(to: LoopTimers.TimerCell.self)
    guard let owner = unsafe cell.pointee.owner else { return }
    unsafe Unmanaged<LoopTimers>.fromOpaque(owner).takeUnretainedValue().fire()
}
