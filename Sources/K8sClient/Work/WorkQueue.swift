/// Keys to be reconciled: deduplicated, due at a time, retried with a backoff per key.
package actor WorkQueue<Key: Hashable & Comparable & Sendable> {
    private var schedule = WorkSchedule<Key>()
    private var backoffs: [Key: Backoff] = [:]
    private let backoff: Backoff
    private var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
    private var nextWaiter: UInt64 = 0
    private var timer: Task<Void, Never>?
    private let clock = ContinuousClock()

    package init(backoff: Backoff = Backoff(initial: .milliseconds(5), maximum: .seconds(300))) {
        self.backoff = backoff
    }

    deinit { timer?.cancel() }

    package var depth: Int { schedule.waitingCount }

    package func add(_ key: Key, after delay: Duration = .zero) {
        schedule.add(key, at: clock.now + delay)
        wake()
    }

    /// The next key that is due; nil when the task is cancelled.
    ///
    /// Give it back by `done` or `failed`.
    package func next() async -> Key? {
        while !Task.isCancelled {
            if let key = schedule.take(at: clock.now) { return key }
            await waitForChange()
        }
        return nil
    }

    /// The key's work went well; `again` looks at it once more, later.
    package func done(_ key: Key, again delay: Duration? = nil) {
        backoffs[key] = nil
        schedule.finish(key)
        if let delay { schedule.add(key, at: clock.now + delay) }
        wake()
    }

    /// The key's work failed; it comes back after its own backoff, or later if asked for.
    @discardableResult
    package func failed(_ key: Key, notBefore: Duration = .zero) -> Duration {
        var own = backoffs[key] ?? backoff
        let delay = max(own.next(), notBefore)
        backoffs[key] = own
        schedule.finish(key)
        schedule.add(key, at: clock.now + delay)
        wake()
        return delay
    }

    private func waitForChange() async {
        let number = nextWaiter
        nextWaiter += 1
        setTimer()
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                if Task.isCancelled { continuation.resume() } else { waiters[number] = continuation }
            }
        } onCancel: {
            Task { await self.release(number) }
        }
    }

    private func release(_ number: UInt64) { waiters.removeValue(forKey: number)?.resume() }

    private func setTimer() {
        timer?.cancel()
        guard let due = schedule.nextDue else { return }
        timer = Task { [weak self] in
            do { try await Task.sleep(until: due, clock: .continuous) } catch { return }
            await self?.wake()
        }
    }

    private func wake() {
        let all = waiters
        waiters = [:]
        for waiter in all.values { waiter.resume() }
    }
}
