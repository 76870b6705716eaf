import Telemetry

/// Tells people what happened to an object, as Kubernetes Events; equal ones are counted, not repeated.
package actor EventRecorder {
    private struct Key: Hashable {
        var object: ObjectReference
        var type: CoreEvent.Kind
        var reason: String
        var message: String
    }
    private struct Sent {
        var name: String
        var count: Int
        var last: ContinuousClock.Instant
    }

    private let client: KubernetesClient
    private let component: String
    private let instance: String
    private let log = Log("events")
    private var sent: [Key: Sent] = [:]
    private let entries: AsyncStream<Key>
    private nonisolated let enqueue: AsyncStream<Key>.Continuation

    /// `component` is who reports, such as `fathom-controller`; `instance` which of them, such as the pod's name.
    package init(client: KubernetesClient, component: String, instance: String) {
        self.client = client
        self.component = component
        self.instance = instance
        (entries, enqueue) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(500))
    }

    /// Notes an event; never waits, and drops it when 500 are waiting already.
    package nonisolated func record(
        _ object: ObjectReference, _ type: CoreEvent.Kind, reason: String, message: String
    ) {
        enqueue.yield(Key(object: object, type: type, reason: reason, message: String(message.prefix(1_000))))
    }

    package nonisolated func record(
        _ object: some KubernetesResource, _ type: CoreEvent.Kind, reason: String, message: String
    ) {
        record(ObjectReference(object), type, reason: reason, message: message)
    }

    /// Sends events until cancelled.
    package func run() async {
        for await key in entries {
            do { try await send(key) } catch {
                if Task.isCancelled { return }
                log.warning("Cannot send an Event", ["reason": key.reason, "error": "\(error)"])
            }
        }
    }

    private func send(_ key: Key) async throws {
        let namespace = key.object.namespace ?? client.namespace
        let now = ContinuousClock.now
        if var known = sent[key], known.last.duration(to: now) < .seconds(600) {
            known.count += 1
            known.last = now
            let patch: JSONValue = [
                "count": .int(Int64(known.count)), "lastTimestamp": .string("\(Timestamp.now)"),
            ]
            do {
                try await client.patch(CoreEvent.self, known.name, namespace: namespace, .merge, patch)
                sent[key] = known
                return
            } catch let error as APIError where error.isNotFound {
                sent[key] = nil
            }
        }
        let suffix = String(UInt64.random(in: 1 << 60...UInt64.max), radix: 16)
        let name = "\((key.object.name ?? "fathom").prefix(200)).\(suffix)"
        let event = CoreEvent(
            metadata: ObjectMeta(name: name, namespace: namespace), about: key.object, type: key.type,
            reason: key.reason, message: key.message, at: .now, component: component, instance: instance)
        try await client.create(event)
        if sent.count >= 1_000 { sent = sent.filter { $0.value.last.duration(to: now) < .seconds(60) } }
        if sent.count >= 1_000 { sent = [:] }
        sent[key] = Sent(name: name, count: 1, last: now)
    }
}
