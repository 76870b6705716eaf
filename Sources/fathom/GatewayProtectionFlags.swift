import Arguments
import Gateway
import Transport

/// The settings of a gateway that say who may ask, and how much.
enum GatewayProtectionFlags {
    static let all: [Flag] = [
        .value(
            "anonymous", "scope", .choice(AccessScope.allCases.map(\.rawValue)),
            help:
                "What needs no token; otherwise everything on loopback as long as no tokens are kept, elsewhere reading."
        ),
        .value(
            "tokens-file", "file", .file,
            help: "File with bearer tokens, lines of `read TOKEN` or `manage TOKEN`; followed on change."),
        .value(
            "tokens-secret", "name", .name(limit: 253),
            help: "Secret with bearer tokens under its keys `read` and `manage`; watched by name."),
        .value(
            "tls-cert-file", "file", .file,
            help: "PEM file with the certificate, and those that lead to its authority: serve https."),
        .value(
            "tls-key-file", "file", .file,
            help: "PEM file with the key of the certificate; both are followed on change."),
        .value(
            "cors-origins", "origin", isRepeatable: true,
            help: "An origin such as https://board.example whose pages may use the answers; `*`: all."),
        .value(
            "max-connections", "n", .integer(1...1_000_000), default: "16384",
            help: "Connections at once; further ones are closed."),
        .value(
            "max-connections-per-client", "n", .integer(1...1_000_000), default: "8192",
            help: "The same for one client address."),
        .value(
            "max-header-bytes", "n", .integer(4_096...1_048_576), default: "131072",
            help: "Size of a request's head, its URL included."),
        .value(
            "max-body-bytes", "n", .integer(1_024...67_108_864), default: "1048576",
            help: "Size of a request's body."),
        .value(
            "max-held-mib", "n", .integer(1...65_536), default: "128",
            help: "Memory for requests that have not come whole and for answers that are not taken."),
        .value(
            "request-rate", "n", .integer(0...10_000_000),
            help:
                "Requests per second of one client, twice as many at once; otherwise no limit on loopback and 10000 elsewhere; 0: no limit."
        ),
        .value(
            "trusted-proxies", "network", isRepeatable: true,
            help:
                "An address or network such as 10.0.0.0/8 whose X-Forwarded-For says who the client is; otherwise nobody's does."
        ),
        .value(
            "request-timeout-seconds", "s", .integer(1...3_600), default: "20",
            help: "Within which a request has to arrive whole."),
        .value(
            "write-timeout-seconds", "s", .integer(1...3_600), default: "20",
            help: "Within which a client has to take the next piece of an answer."),
        .value(
            "idle-timeout-seconds", "s", .integer(1...86_400), default: "75",
            help: "How long a connection may stay without a request."),
    ]

    static let checks: [CommandSpecification.Check] = [
        CommandSpecification.Check(["tokens-file", "tokens-secret"]) { arguments in
            arguments.string("tokens-file") != nil && arguments.string("tokens-secret") != nil
                ? [
                    "\(arguments.label("tokens-file")) and \(arguments.label("tokens-secret")) exclude each other"
                ]
                : []
        },
        CommandSpecification.Check(["tls-cert-file", "tls-key-file"]) { arguments in
            let cert = arguments.string("tls-cert-file")
            let key = arguments.string("tls-key-file")
            guard (cert == nil) != (key == nil) else { return [] }
            let (one, other) =
                cert == nil ? ("tls-key-file", "tls-cert-file") : ("tls-cert-file", "tls-key-file")
            return ["\(arguments.label(one)) needs --\(other)"]
        },
        CommandSpecification.Check(["trusted-proxies"]) { arguments in
            arguments.strings("trusted-proxies").filter { IPNetwork($0) == nil }.map {
                "\(arguments.label("trusted-proxies")): expected a network such as 10.0.0.0/8, was '\($0)'"
            }
        },
        CommandSpecification.Check(["cors-origins"]) { arguments in
            arguments.strings("cors-origins").filter { !GatewayProtection.isOrigin($0) }.map {
                "\(arguments.label("cors-origins")): expected an origin such as https://board.example or *, was '\($0)'"
            }
        },
    ]

    static func protection(_ arguments: ParsedArguments) -> GatewayProtection {
        var protection = GatewayProtection()
        protection.anonymous = arguments.string("anonymous").flatMap { AccessScope(rawValue: $0) }
        protection.tokensFile = arguments.string("tokens-file")
        protection.tokensSecret = arguments.string("tokens-secret")
        if let cert = arguments.string("tls-cert-file"), let key = arguments.string("tls-key-file") {
            protection.tls = TLSServerSettings(certificateFile: cert, keyFile: key)
        }
        protection.corsOrigins = arguments.strings("cors-origins")
        protection.trustedProxies = arguments.strings("trusted-proxies").compactMap { IPNetwork($0) }
        protection.requestRate = arguments.integer("request-rate")
        func set<Value>(_ path: WritableKeyPath<GatewayProtection, Value>, _ value: Value?) {
            if let value { protection[keyPath: path] = value }
        }
        set(\.maximumConnections, arguments.integer("max-connections"))
        set(\.maximumConnectionsPerClient, arguments.integer("max-connections-per-client"))
        set(\.maximumHeaderBytes, arguments.integer("max-header-bytes"))
        set(\.maximumBodyBytes, arguments.integer("max-body-bytes"))
        set(\.maximumHeldBytes, arguments.integer("max-held-mib").map { $0 << 20 })
        set(\.requestTimeout, arguments.integer("request-timeout-seconds").map { .seconds($0) })
        set(\.writeTimeout, arguments.integer("write-timeout-seconds").map { .seconds($0) })
        set(\.idleTimeout, arguments.integer("idle-timeout-seconds").map { .seconds($0) })
        return protection
    }
}
