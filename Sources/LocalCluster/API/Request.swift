import K8sClient

/// A request as the API's core sees it: no connection, no threads.
struct APIRequest: Sendable {
    var method: String
    var path: String
    var query: [(name: String, value: String)] = []
    var token: String?
    var accept = ""
    var contentType = ""
    var userAgent = ""
    var body: [UInt8] = []
    /// Whom the sender wants to act as.
    var impersonatedUser: String?
    var impersonatedGroups: [String] = []

    /// Whether nothing is to be stored.
    func isDryRun() throws(StatusError) -> Bool {
        guard let wish = value("dryRun") else { return false }
        guard wish == "All" else {
            throw StatusError(
                422, "Invalid",
                "Options.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: \"\(wish)\": supported values: \"All\""
            )
        }
        return true
    }

    /// The one name that a field selector leaves.
    var onlyName: String? {
        let parts = (value("fieldSelector") ?? "").split(separator: ",")
        return parts.lazy.compactMap { part in
            String(part).wholeSuffix(after: "metadata.name=")?.drop { $0 == "=" }
        }.first.map { String($0) }
    }

    func value(_ name: String) -> String? { query.first { $0.name == name }?.value }

    func isTrue(_ name: String) -> Bool {
        query.contains { $0.name == name && ["true", "1", ""].contains($0.value) }
    }

    /// Decodes `a=b&c=d` with percent escapes.
    static func parse(query: String) -> [(name: String, value: String)] {
        query.split(separator: "&").map { part in
            let halves = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return (decode(halves[0]), halves.count == 2 ? decode(halves[1]) : "")
        }
    }

    static func decode(_ text: Substring, plusIsSpace: Bool = true) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"),
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(plusIsSpace && byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// What the core makes of a request.
enum APIAnswer: Sendable {
    case reply(APIReply)
    case watch(WatchOrder)

    static func json(_ value: JSONValue, code: Int = 200, warnings: [String] = []) -> APIAnswer {
        .reply(APIReply(code: code, body: value.bytes, warnings: warnings))
    }
}

/// A complete answer.
struct APIReply: Sendable {
    var code = 200
    var contentType = "application/json"
    var body: [UInt8]
    var warnings: [String] = []

    static func text(_ text: String, code: Int = 200) -> APIAnswer {
        .reply(APIReply(code: code, contentType: "text/plain; charset=utf-8", body: Array(text.utf8)))
    }
}

/// A watch to begin: what comes at once, and what it is about.
struct WatchOrder: Sendable {
    var type: ResourceType
    var namespace: String?
    var selection: Selection
    var asTable: TableWish?
    var bookmarks: Bool
    var timeoutSeconds: Int
    /// Lines to send before anything else.
    var backlog: [[UInt8]]
    /// Changes up to this one are in the backlog.
    var upTo: Int64
}

/// A request for a table instead of objects; what of each object rides along.
struct TableWish: Sendable {
    enum Include: Sendable { case none, metadata, object }
    var include = Include.metadata
}

/// A path below `/api` or `/apis`, taken apart.
struct ResourcePath: Equatable, Sendable {
    var group: String
    var version: String
    var namespace: String?
    var plural: String
    var name: String?
    var subresource: String?

    /// Nil for paths that are not about a resource.
    init?(_ path: String) {
        var parts = path.split(separator: "/").map { APIRequest.decode($0, plusIsSpace: false) }[...]
        guard let root = parts.popFirst() else { return nil }
        if root == "api" {
            group = ""
        } else if root == "apis", let first = parts.popFirst() {
            group = first
        } else {
            return nil
        }
        guard let version = parts.popFirst(), let first = parts.popFirst() else { return nil }
        self.version = version
        if first == "namespaces", parts.count >= 2,
            !["status", "finalize"].contains(parts[parts.startIndex + 1])
        {
            namespace = parts.removeFirst()
            plural = parts.removeFirst()
        } else {
            plural = first
        }
        name = parts.popFirst()
        subresource = parts.popFirst()
        guard parts.isEmpty else { return nil }
    }
}
