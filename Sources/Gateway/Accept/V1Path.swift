/// The paths of `/v1`, and the names that are in them.
enum V1Resource: String, CaseIterable, Sendable {
    case books = "/v1/books"
    case book = "/v1/books/{exchange}/{market}"
    case caches = "/v1/depthcaches"
    case cache = "/v1/depthcaches/{exchange}/{market}"
    case audits = "/v1/audits"
    case cluster = "/v1/cluster"
    case document = "/openapi.json"

    /// The metric label.
    var label: String {
        switch self {
        case .books: "v1_books"
        case .book: "v1_book"
        case .caches: "v1_depthcaches"
        case .cache: "v1_depthcache"
        case .audits: "v1_audits"
        case .cluster: "v1_cluster"
        case .document: "openapi"
        }
    }

    fileprivate var segments: [Substring] { rawValue.split(separator: "/", omittingEmptySubsequences: false) }
}

/// A path that names a resource of `/v1`.
struct V1Path: Sendable {
    var resource: V1Resource
    var values: [String: String] = [:]

    /// Whether answers to this path are those of `/v1`, errors too.
    static func isOwn(_ path: String) -> Bool {
        path == "/v1" || path.hasPrefix("/v1/") || path == V1Resource.document.rawValue
    }

    /// The path of a market's resource.
    static func text(_ resource: V1Resource, exchange: String, market: String) -> String {
        func encoded(_ name: String) -> String {
            var text = ""
            for byte in name.utf8 {
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E:
                    text.unicodeScalars.append(Unicode.Scalar(byte))
                default: text += (byte < 16 ? "%0" : "%") + String(byte, radix: 16, uppercase: true)
                }
            }
            return text
        }
        return resource.rawValue.split(separator: "/", omittingEmptySubsequences: false).map { part in
            part == "{exchange}" ? encoded(exchange) : part == "{market}" ? encoded(market) : String(part)
        }
        .joined(separator: "/")
    }

    /// `path` as it was sent, not decoded.
    init?(_ path: String) {
        let sent = path.split(separator: "/", omittingEmptySubsequences: false)
        for resource in V1Resource.allCases {
            let wanted = resource.segments
            guard wanted.count == sent.count else { continue }
            var values: [String: String] = [:]
            var isMatch = true
            for (want, was) in zip(wanted, sent) {
                if want.first == "{" {
                    values[String(want.dropFirst().dropLast())] = QueryString.decodedSegment(was)
                } else if want != was {
                    isMatch = false
                }
            }
            guard isMatch else { continue }
            self.resource = resource
            self.values = values
            return
        }
        return nil
    }
}
