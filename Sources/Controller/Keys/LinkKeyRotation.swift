internal import DepthCacheAPI
internal import FoundationEssentials
internal import K8sClient
internal import Telemetry
internal import Transport

/// Keeps the Secret with the key of the links filled, and changes the key in time or when asked.
///
/// Only the leader does. A write that fails is repeated with growing waits and said once.
struct LinkKeyRotation: Sendable {
    private let client: KubernetesClient
    private let name: String
    private let source: LinkKeySecret
    private let interval: Duration
    private let events: EventRecorder
    private let log = Log("link")

    init(
        client: KubernetesClient, source: LinkKeySecret, interval: Duration, events: EventRecorder
    ) {
        self.client = client
        name = source.name
        self.source = source
        self.interval = interval
        self.events = events
    }

    /// Runs until cancelled.
    func run() async {
        let (wakeups, wake) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        await withDiscardingTaskGroup { group in
            group.addTask { for await _ in source.changes() { wake.yield() } }
            group.addTask {
                while !Task.isCancelled {
                    wake.yield()
                    do { try await Task.sleep(for: .seconds(10)) } catch { return }
                }
            }
            group.addTask { await follow(wakeups) }
        }
    }

    private func follow(_ wakeups: AsyncStream<Void>) async {
        var backoff = Backoff(initial: .milliseconds(200), maximum: .seconds(60))
        var said: String?
        for await _ in wakeups where source.isSynced {
            do {
                try await act()
                if said != nil { log.info("Secret of the link key can be written again", ["secret": name]) }
                said = nil
                backoff.reset()
            } catch let error as APIError where error.isConflict || error.isAlreadyExists {
                continue  // somebody was faster; the watch tells what came of it
            } catch {
                if Task.isCancelled { return }
                let words = advice(error)
                if words != said {
                    log.warning(
                        "Secret of the link key cannot be written, will be repeated",
                        ["secret": name, "error": words])
                }
                said = words
                do { try await Task.sleep(for: backoff.next()) } catch { return }
            }
        }
    }

    private func act() async throws {
        let secret = source.secret
        let last = source.keys.current.isEmpty ? nil : source.keys
        let now = Timestamp.now
        let plan = try LinkKeyPlan.decide(
            secret, last: last, interval: interval.components.seconds, now: now.secondsSinceEpoch
        ) { try Digest.random(32) }
        switch plan {
        case .nothing: return
        case .create(let keys):
            try await client.create(LinkKeyPlan.secret(name, keys, now: now))
            log.info("Created the Secret of the link key", ["secret": name])
        case .write(let keys, let cause):
            guard let secret else { return }
            try await client.patch(Secret.self, name, .merge, LinkKeyPlan.patch(keys, of: secret, now: now))
            log.info("Wrote a new link key", ["secret": name, "reason": cause.rawValue])
            events.record(secret, .normal, reason: "LinkKeyRotated", message: "New key: \(cause.rawValue)")
        case .stamp:
            guard let secret else { return }
            try await client.patch(Secret.self, name, .merge, LinkKeyPlan.patch(nil, of: secret, now: now))
        }
    }

    /// What the person with the rights has to do, where rights are missing.
    private func advice(_ error: any Error) -> String {
        guard let error = error as? APIError, error.code == 403 else { return "\(error)" }
        return source.secret == nil
            ? "\(error); create it empty: kubectl create secret generic \(name) -n \(client.namespace)"
            : "\(error); the controller needs get, list, watch, update and patch on it"
    }
}
