package import Transport

/// What a gateway lets clients do, and how much of it.
package struct GatewayProtection: Sendable {
    // Who may do what.
    /// What needs no token; nil: everything while only this machine can ask and no tokens are kept, else reading.
    package var anonymous: AccessScope?
    package var tokensFile: String?
    package var tokensSecret: String?

    // Who else looks on.
    package var tls: TLSServerSettings?
    package var corsOrigins: [String] = []

    // How much.
    package var maximumConnections = 16_384
    package var maximumConnectionsPerClient = 8_192
    package var maximumHeaderBytes = 128 << 10
    package var maximumBodyBytes = 1 << 20
    package var maximumHeldBytes = 128 << 20
    /// Requests per second and client; nil: no limit on loopback, else `usualRequestRate`; 0: none.
    package var requestRate: Int?
    /// Whose `X-Forwarded-For` is believed.
    package var trustedProxies: [IPNetwork] = []

    // How long.
    package var requestTimeout: Duration = .seconds(20)
    package var writeTimeout: Duration = .seconds(20)
    package var idleTimeout: Duration = .seconds(75)

    package static let usualRequestRate = 10_000

    package init() {}

    /// Whether the text may stand among `corsOrigins`.
    package static func isOrigin(_ text: String) -> Bool { CrossOrigin.isOrigin(text) }

    func anonymous(listeningOn host: String) -> AccessScope {
        if let anonymous { return anonymous }
        let isOpen = LoopbackGuard.isLoopback(host.lowercased()) && tokensFile == nil && tokensSecret == nil
        return isOpen ? .manage : .read
    }

    func requestRate(listeningOn host: String) -> Int? {
        let rate = requestRate ?? (LoopbackGuard.isLoopback(host.lowercased()) ? 0 : Self.usualRequestRate)
        return rate > 0 ? rate : nil
    }

    func apply(to http: inout HTTPServerConfiguration) {
        http.tls = tls
        http.maximumConnections = maximumConnections
        http.maximumConnectionsPerClient = maximumConnectionsPerClient
        http.maximumHeaderBytes = maximumHeaderBytes
        http.maximumBodyBytes = maximumBodyBytes
        http.maximumHeldBytes = maximumHeldBytes
        http.requestTimeout = requestTimeout
        http.writeTimeout = writeTimeout
        http.idleTimeout = idleTimeout
    }
}
