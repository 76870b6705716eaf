internal import DepthCacheAPI
internal import K8sClient

/// What can be done under `/v1`: routing, the check of parameters and the OpenAPI document are made from this table.
struct V1Operation: Sendable {
    enum Name: String, Sendable {
        case getBook, getBooks, listDepthCaches, createDepthCache, getDepthCache, changeDepthCache
        case deleteDepthCache, auditBooks, getCluster, getDocument
    }
    /// One answer that clients have to expect.
    struct Answer: Sendable {
        var status: Int
        var about: String
        /// The name of a schema; nil: no body.
        var schema: String?
        var headers: [String] = []
    }

    var name: Name
    var method: String
    var resource: V1Resource
    var summary: String
    var parameters: [V1Parameter] = []
    var answers: [Answer]
    var changesState = false
    var parameterError = ErrorID.badQueryParameter

    var hasBody: Bool { parameters.contains { $0.place == .body } }

    static func methods(of resource: V1Resource) -> [String] {
        let own = table.filter { $0.resource == resource }.map(\.method)
        return own + (own.contains("GET") ? ["HEAD"] : []) + ["OPTIONS"]
    }

    /// HEAD is a GET whose body is not sent.
    static func find(_ resource: V1Resource, method: String) -> V1Operation? {
        let method = method == "HEAD" ? "GET" : method
        return table.first { $0.resource == resource && $0.method == method }
    }

    static let table: [V1Operation] = [
        V1Operation(
            name: .getBook, method: "GET", resource: .book,
            summary: "Both sides of a book, from one state of one copy",
            parameters: [
                exchange(.path), market(.path), limit("all that is covered"), threshold, leastID,
            ],
            answers: [
                Answer(status: 200, about: "The book", schema: "Book", headers: ["ETag"]),
                Answer(status: 304, about: "The book has not changed since the ETag", headers: ["ETag"]),
                notFound,
                Answer(status: 409, about: "No copy has come to min_update_id yet", schema: "Problem"),
                unavailable,
            ]),
        V1Operation(
            name: .getBooks, method: "GET", resource: .books, summary: "Many books, or all",
            parameters: [
                V1Parameter(
                    name: "markets", place: .query, kind: .markets, isRequired: true,
                    about: "`all`, or markets with commas between them",
                    example: ["BTCUSDT", "ETHUSDT"]),
                optionalExchange("Only books of this exchange"),
                limit("1"), threshold,
            ],
            answers: [
                Answer(
                    status: 200, about: "The books that could be read, and a problem for each other market",
                    schema: "Books"), unavailable,
            ]),
        V1Operation(
            name: .listDepthCaches, method: "GET", resource: .caches,
            summary: "All DepthCaches, the oldest first",
            parameters: [optionalExchange("Only those of this exchange")],
            answers: [Answer(status: 200, about: "The DepthCaches", schema: "DepthCacheList"), unavailable]),
        V1Operation(
            name: .createDepthCache, method: "POST", resource: .caches, summary: "Create a DepthCache",
            parameters: [
                exchange(.body), market(.body), replicas(isRequired: false),
                whole("depth", SpecBounds.depth, "Levels per side that should be covered", 500),
                whole(
                    "update_interval", SpecBounds.updateIntervalMilliseconds,
                    "Speed of the feed in milliseconds; the exchange's fastest if absent", 100),
                whole(
                    "refresh_interval", SpecBounds.refreshIntervalSeconds,
                    "Seconds between refreshes from a fresh snapshot; none if absent", 86_400),
            ],
            answers: [
                Answer(
                    status: 201, about: "The new DepthCache", schema: "DepthCache", headers: ["Location"]),
                Answer(status: 409, about: "The market has a DepthCache", schema: "Problem"),
                Answer(
                    status: 422, about: "The exchange has no such market, or the Kubernetes API refuses it",
                    schema: "Problem"), unavailable,
            ], changesState: true, parameterError: .creationRefused),
        V1Operation(
            name: .getDepthCache, method: "GET", resource: .cache, summary: "One DepthCache and its copies",
            parameters: [exchange(.path), market(.path)],
            answers: [
                Answer(status: 200, about: "The DepthCache", schema: "DepthCache"), notFound, unavailable,
            ]),
        V1Operation(
            name: .changeDepthCache, method: "PATCH", resource: .cache,
            summary: "Change the number of copies",
            parameters: [exchange(.path), market(.path), replicas(isRequired: true)],
            answers: [
                Answer(status: 200, about: "The DepthCache", schema: "DepthCache"), notFound,
                Answer(status: 422, about: "The Kubernetes API refuses it", schema: "Problem"), unavailable,
            ], changesState: true, parameterError: .creationRefused),
        V1Operation(
            name: .deleteDepthCache, method: "DELETE", resource: .cache, summary: "Delete a DepthCache",
            parameters: [exchange(.path), market(.path)],
            answers: [Answer(status: 204, about: "It is deleted"), notFound, unavailable],
            changesState: true),
        V1Operation(
            name: .auditBooks, method: "POST", resource: .audits,
            summary: "Compare each copy of a book with the exchange's own; this takes up to a minute",
            parameters: [exchange(.query), market(.query)],
            answers: [
                Answer(status: 200, about: "How each copy fared", schema: "Audit"), notFound, unavailable,
            ],
            // It spends request weight, so no link in a page may lead to it.
            changesState: true),
        V1Operation(
            name: .getCluster, method: "GET", resource: .cluster,
            summary: "Workers, gateways and the state of the Kubernetes API",
            answers: [Answer(status: 200, about: "The cluster", schema: "Cluster"), unavailable]),
        V1Operation(
            name: .getDocument, method: "GET", resource: .document, summary: "This document",
            answers: [Answer(status: 200, about: "An OpenAPI 3.1 document", schema: "Document")]),
    ]

    private static let notFound = Answer(
        status: 404, about: "There is no such DepthCache", schema: "Problem")
    private static let unavailable = Answer(
        status: 503, about: "Not now: out of sync, not placed, no worker or no Kubernetes API reachable",
        schema: "Problem", headers: ["Retry-After"])
}

extension V1Operation {
    private static func exchange(_ place: V1Parameter.Place) -> V1Parameter {
        V1Parameter(
            name: "exchange", place: place, kind: .exchange, isRequired: true, about: "Any case of letters",
            example: "binance.com")
    }

    private static func optionalExchange(_ about: String) -> V1Parameter {
        V1Parameter(name: "exchange", place: .query, kind: .exchange, about: about, example: "binance.com")
    }

    private static func market(_ place: V1Parameter.Place) -> V1Parameter {
        V1Parameter(
            name: "market", place: place, kind: .market, isRequired: true,
            about: "As the exchange names it; any case of ASCII letters", example: "BTCUSDT")
    }

    private static func limit(_ usual: String) -> V1Parameter {
        whole(
            "limit", SpecBounds.depth, "Levels per side at most; \(usual) if absent", 5, place: .query)
    }

    private static let threshold = V1Parameter(
        name: "threshold", place: .query, kind: .volume,
        about:
            "Each side ends before the sum of price x quantity would cross this; the best level is always there",
        example: "100000")

    private static let leastID = V1Parameter(
        name: "min_update_id", place: .query, kind: .whole(0...Int64.max),
        about: "Only a state with this update id or a later one; up to a second is waited for one", example: 1
    )

    private static func replicas(isRequired: Bool) -> V1Parameter {
        var parameter = whole("replicas", SpecBounds.replicas, "Copies, each on another worker", 2)
        parameter.isRequired = isRequired
        return parameter
    }

    private static func whole(
        _ name: String, _ range: ClosedRange<Int>, _ about: String, _ example: Int64,
        place: V1Parameter.Place = .body
    ) -> V1Parameter {
        V1Parameter(
            name: name, place: place, kind: .whole(Int64(range.lowerBound)...Int64(range.upperBound)),
            about: about, example: .int(example))
    }
}
