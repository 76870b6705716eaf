internal import DepthCacheAPI
internal import Transport

/// Keeps web pages and rebound names away from a gateway that listens on loopback.
struct LoopbackGuard: Sendable {
    private let isActive: Bool
    private let names: Set<String>
    private let origins: Set<String>

    /// Pages of `allowedOrigins` may change things; `*` there means answers, not orders.
    init(listeningOn host: String, allowedHosts: [String], allowedOrigins: [String] = []) {
        origins = Set(allowedOrigins.map(\.asciiLowercased))
        isActive = Self.isLoopback(host.lowercased())
        names = Set(allowedHosts.map { $0.lowercased() })
    }

    /// Why the request is refused; nil lets it pass.
    func refusal(host: String?, origin: String?, fetchSite: String?, changesState: Bool) -> String? {
        guard isActive else { return nil }
        if let host, !isKnown(host) {
            return "Host was '\(host.prefix(80))', expected a loopback or configured name"
        }
        guard changesState else { return nil }
        if let origin, origins.contains(origin.asciiLowercased) { return nil }
        if fetchSite?.lowercased() == "cross-site" { return "Cross-site requests may not change anything" }
        if let origin, !isKnown(Self.authority(ofOrigin: origin)) {
            return "Origin was '\(origin.prefix(80))', expected a loopback or configured name"
        }
        return nil
    }

    private func isKnown(_ authority: String) -> Bool {
        if Self.isUsual(authority) { return true }
        let name = Self.withoutPort(authority.lowercased())
        return Self.isLoopback(name) || names.contains(name) || names.contains(authority.lowercased())
    }

    /// Whether it is what nearly every client sends, with any port: found without making texts.
    private static func isUsual(_ authority: String) -> Bool {
        let isNamed =
            authority.utf8.starts(with: "127.0.0.1".utf8) || authority.utf8.starts(with: "localhost".utf8)
        guard isNamed else { return false }
        // Both have nine letters.
        var bytes = authority.utf8.dropFirst(9)
        guard let colon = bytes.popFirst() else { return true }
        return colon == UInt8(ascii: ":") && bytes.allSatisfy { (0x30...0x39).contains($0) }
    }

    private static func authority(ofOrigin origin: String) -> String {
        guard let scheme = origin.firstRange(of: "://") else { return origin }
        return String(origin[scheme.upperBound...])
    }

    private static func withoutPort(_ authority: String) -> String {
        if authority.first == "[" {
            guard let end = authority.firstIndex(of: "]") else { return authority }
            return String(authority[authority.index(after: authority.startIndex)..<end])
        }
        let parts = authority.split(separator: ":", omittingEmptySubsequences: false)
        return parts.count == 2 ? String(parts[0]) : authority
    }

    static func isLoopback(_ name: String) -> Bool {
        name == "localhost" || name.hasSuffix(".localhost") || IPAddress(name)?.isLoopback == true
    }
}
