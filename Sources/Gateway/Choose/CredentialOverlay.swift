internal import K8sClient

/// Credentials, as the masked list tells of them.
struct CredentialPicture: Sendable, Equatable {
    var id: String
    /// Unix seconds.
    var added: Double
    /// The entry of the list.
    var json: JSONFragment

    /// Nil unless it is an entry with an id.
    init?(_ entry: JSONValue) {
        guard let id = entry["id"]?.text else { return nil }
        self.id = id
        added = entry["added_timestamp"]?.double ?? 0
        json = JSONFragment(bytes: entry.bytes)
    }
}

/// What this gateway has changed in the credentials, until the controller's list shows it.
struct CredentialOverlay {
    private var added: [String: (entry: CredentialPicture, since: ContinuousClock.Instant)] = [:]
    private var removed: [String: ContinuousClock.Instant] = [:]

    /// How long a change is believed that the list does not show; without a controller it never will.
    private static let life = Duration.seconds(30)

    mutating func noteAdded(_ entry: CredentialPicture, at now: ContinuousClock.Instant) {
        added[entry.id] = (entry, now)
    }

    mutating func noteRemoved(_ id: String, at now: ContinuousClock.Instant) {
        added[id] = nil
        removed[id] = now
    }

    mutating func applied(to listed: [CredentialPicture], now: ContinuousClock.Instant) -> [CredentialPicture]
    {
        let ids = Set(listed.map(\.id))
        added = added.filter { !ids.contains($0.key) && now - $0.value.since < Self.life }
        removed = removed.filter { ids.contains($0.key) || now - $0.value < Self.life }
        let fresh = added.values.map(\.entry).sorted { ($0.added, $0.id) < ($1.added, $1.id) }
        return (listed + fresh).filter { removed[$0.id] == nil }
    }
}
