internal import K8sClient

/// What the gateway changes in the Secrets of its namespace: it never reads one.
protocol CredentialStore: Sendable {
    /// Creates the Secret, and returns it as the API keeps it.
    func create(_ secret: Secret) async throws(StoreError) -> Secret
    /// Deletes the Secret; false if there is none of this name.
    func delete(_ name: String) async throws(StoreError) -> Bool
}

/// Secrets in the Kubernetes API.
struct KubernetesCredentialStore: CredentialStore {
    var client: KubernetesClient

    func create(_ secret: Secret) async throws(StoreError) -> Secret {
        try await StoreError.telling { try await client.create(secret) }
    }

    func delete(_ name: String) async throws(StoreError) -> Bool {
        try await StoreError.telling { try await client.delete(Secret.self, name) }
    }
}
