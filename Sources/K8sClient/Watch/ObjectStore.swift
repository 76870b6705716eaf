import Telemetry

/// What an informer knows of its own health.
package struct InformerState: Sendable {
    /// A whole list has been read, at least once.
    package var isSynced = false
    /// A watch is open now.
    package var isLive = false
    /// Counts the lists: timers that lean on an unbroken watch start again when it moves.
    package var epoch = 0
    /// Why there is no watch at the moment.
    package var problem: String?
    /// Objects that the API has and that we cannot read, with the reason; they are not in the store.
    package var unreadable: [ObjectKey: String] = [:]
}

/// The objects of an informer, readable from anywhere, and who wants to hear of changes.
final class ObjectStore<Object: KubernetesResource>: Sendable {
    private struct State {
        var objects: [ObjectKey: Object] = [:]
        var state = InformerState()
        var subscribers: [UInt64: ChangeBox] = [:]
        var nextSubscriber: UInt64 = 0
    }
    private let guarded = Guarded(State())

    var objects: [ObjectKey: Object] { guarded.withLock { $0.objects } }
    var state: InformerState { guarded.withLock { $0.state } }
    func object(_ key: ObjectKey) -> Object? { guarded.withLock { $0.objects[key] } }

    func note(_ change: @Sendable (inout InformerState) -> Void) { guarded.withLock { change(&$0.state) } }

    /// Puts a whole list in place of all, so that deletions during a gap are seen.
    func replace(_ new: [ObjectKey: Object], unreadable: [ObjectKey: String]) {
        notify { state in
            var changed = Set(state.objects.keys.filter { new[$0] == nil })
            for (key, object) in new
            where state.objects[key]?.metadata.resourceVersion != object.metadata.resourceVersion
                || object.metadata.resourceVersion == nil
            {
                changed.insert(key)
            }
            state.objects = new
            state.state.unreadable = unreadable
            state.state.isSynced = true
            state.state.epoch += 1
            return changed
        }
    }

    func put(_ key: ObjectKey, _ object: Object?, unreadable: String? = nil) {
        notify { state in
            let old = state.objects[key]
            state.objects[key] = object
            state.state.unreadable[key] = unreadable
            if let old, let object, let version = object.metadata.resourceVersion,
                old.metadata.resourceVersion == version
            {
                return []
            }
            return old == nil && object == nil ? [] : [key]
        }
    }

    func subscribe() -> ChangeBox {
        guarded.withLock { state in
            let box = ChangeBox(number: state.nextSubscriber)
            state.nextSubscriber += 1
            state.subscribers[box.number] = box
            box.add(Set(state.objects.keys), always: state.state.isSynced)
            return box
        }
    }

    func unsubscribe(_ number: UInt64) { guarded.withLock { $0.subscribers[number] = nil } }

    private func notify(_ change: (inout State) -> Set<ObjectKey>) {
        // The boxes only append to a set and signal a stream, so order is kept by doing it under the lock.
        guarded.withLock { state in
            let wasSynced = state.state.epoch
            let keys = change(&state)
            let listed = state.state.epoch != wasSynced
            guard !keys.isEmpty || listed else { return }
            for box in state.subscribers.values { box.add(keys, always: listed) }
        }
    }
}

/// The changes that one subscriber has not taken yet: a set, so it never holds more than there are objects.
final class ChangeBox: Sendable {
    let number: UInt64
    private let keys = Guarded<Set<ObjectKey>>([])
    let signals: AsyncStream<Void>
    private let signal: AsyncStream<Void>.Continuation

    init(number: UInt64) {
        self.number = number
        (signals, signal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    func add(_ more: Set<ObjectKey>, always: Bool) {
        keys.withLock { $0.formUnion(more) }
        if always || !more.isEmpty { signal.yield() }
    }

    func take() -> Set<ObjectKey> {
        keys.withLock { keys in
            let taken = keys
            keys = []
            return taken
        }
    }
}

/// Sets of keys whose objects have changed, coalesced while nobody looks.
///
/// The first element comes with the first whole list (all keys then), and one comes after each relist, if only an empty one.
package struct InformerChanges: AsyncSequence, Sendable {
    package typealias Element = Set<ObjectKey>
    package typealias Failure = Never
    let box: ChangeBox
    let lifetime: Lifetime

    /// Ends the subscription when the last copy goes.
    final class Lifetime: Sendable {
        private let end: @Sendable () -> Void
        init(_ end: @escaping @Sendable () -> Void) { self.end = end }
        deinit { end() }
    }

    package struct Iterator: AsyncIteratorProtocol {
        let box: ChangeBox
        let lifetime: Lifetime
        var signals: AsyncStream<Void>.Iterator

        package mutating func next(isolation actor: isolated (any Actor)?) async -> Set<ObjectKey>? {
            guard await signals.next(isolation: actor) != nil else { return nil }
            return box.take()
        }
    }

    package func makeAsyncIterator() -> Iterator {
        Iterator(box: box, lifetime: lifetime, signals: box.signals.makeAsyncIterator())
    }
}
