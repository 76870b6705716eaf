import FoundationEssentials
package import K8sClient
package import Telemetry
package import Transport

/// Where a program has the keys of its links from: a file on a laptop, the Secret `fathom-link` in a cluster.
///
/// Both may change at any time; new links are made with what was read last.
package struct LinkKeySource: Sendable {
    /// The keys as last read; an empty one, which opens nothing, before there are any.
    package let keys: @Sendable () -> LinkKeys
    /// Why there are no keys yet, for the program's health.
    package let problem: @Sendable () -> String?
    private let follow: @Sendable () async -> Void

    /// Nil without either; the Secret wins.
    package init?(file: String?, secret: LinkKeySecret?) throws(TransportError) {
        if let secret {
            keys = { secret.keys }
            problem = { secret.problem }
            follow = { await secret.run() }
        } else if let file {
            let source = try LinkKeyFile(path: file)
            keys = source.keys
            problem = { nil }
            follow = {}
        } else {
            return nil
        }
    }

    /// Follows changes until cancelled, and keeps `health` unready while there is no key.
    package func run(health: Health?) async {
        await withDiscardingTaskGroup { group in
            group.addTask { await follow() }
            group.addTask {
                while !Task.isCancelled {
                    health?.setUnready("link key", problem())
                    do { try await Task.sleep(for: .milliseconds(200)) } catch { return }
                }
            }
        }
    }
}

/// The keys in a Secret, watched by name.
///
/// What cannot be read leaves the last keys in force: links that work are not given up for a slip in an object.
package final class LinkKeySecret: Sendable {
    package let name: String
    private let informer: Informer<Secret>
    private let last = Guarded<LinkKeys?>(nil)
    private let log = Log("link")

    package init(client: KubernetesClient, name: String) {
        self.name = name
        informer = Informer(client: client, selector: .name(name), log: log)
    }

    package var keys: LinkKeys { last.withLock { $0 } ?? LinkKeys(current: []) }

    /// The Secret as it is now, if it was seen.
    package var secret: Secret? { informer[name] }
    package var isSynced: Bool { informer.isSynced }
    package func changes() -> InformerChanges { informer.changes() }

    package var problem: String? {
        guard last.withLock({ $0 }) == nil else { return nil }
        if let problem = informer.state.problem { return "Secret \(name) cannot be read: \(problem)" }
        guard informer.isSynced else { return "Secret \(name) has not been read yet" }
        guard let secret else { return "there is no Secret \(name); the controller makes it, if it may" }
        return LinkKeys.problem(in: secret) ?? "Secret \(name) has not been read yet"
    }

    /// Watches until cancelled.
    package func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.informer.run() }
            group.addTask { for await _ in self.informer.changes() { self.take() } }
        }
    }

    private func take() {
        guard informer.isSynced else { return }
        guard let keys = secret.flatMap({ LinkKeys($0) }) else {
            guard last.withLock({ $0 }) != nil else { return }
            let why = secret.flatMap { LinkKeys.problem(in: $0) } ?? "it is gone"
            return log.warning(
                "Link key cannot be read, the last one stays", ["secret": name, "reason": why])
        }
        let before = last.withLock { last in
            defer { last = keys }
            return last
        }
        guard before != keys else { return }
        log.info(before == nil ? "Link key was read" : "Link key has changed", ["secret": name])
    }
}

extension LinkKeys {
    package static let currentKey = "current"
    package static let previousKey = "previous"

    /// The keys of the Secret; nil if it has no current one.
    package init?(_ secret: Secret) {
        guard let current = Self.key(secret, Self.currentKey) else { return nil }
        self.init(current: current, previous: Self.key(secret, Self.previousKey))
    }

    static func problem(in secret: Secret) -> String? {
        guard key(secret, currentKey) == nil else { return nil }
        let name = secret.metadata.name ?? ""
        return secret.data[currentKey] == nil
            ? "Secret \(name) has no key \"\(currentKey)\" yet; the leading controller fills it"
            : "key \"\(currentKey)\" of Secret \(name): expected at least 32 hex digits"
    }

    private static func key(_ secret: Secret, _ name: String) -> [UInt8]? {
        guard let text = secret.text(name) else { return nil }
        let digits = text.filter { !$0.isWhitespace }
        guard let key = Digest.bytes(hex: digits), key.count >= 16 else { return nil }
        return key
    }
}
