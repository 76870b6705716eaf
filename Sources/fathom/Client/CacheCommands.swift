import Arguments
import DepthCacheAPI
import K8sClient

/// `fathom get`: the DepthCaches.
enum GetCommand: Command {
    static let specification = CommandSpecification(
        name: "fathom get", summary: "List DepthCaches, or those of some markets.",
        discussion: "Exit code 1 if a market that was named has none.",
        flags: [
            .value("exchange", "NAME", environment: "FATHOM_EXCHANGE", help: "Only those of this exchange."),
            ClientFlags.output,
        ] + ClientFlags.target, positionals: ["[market...]"])

    static func run(_ arguments: ParsedArguments) async throws {
        let wantsJSON = try ClientFlags.wantsJSON(arguments)
        let list = try await CacheList.read(try ClusterTarget(arguments))
        let exchange = arguments.string("exchange")
        let markets = arguments.positionals
        let rows = list.rows.filter { row in
            (exchange.map { $0.asciiUppercased == row.exchange.asciiUppercased } ?? true)
                && (markets.isEmpty || markets.contains { $0.asciiUppercased == row.market.asciiUppercased })
        }
        if wantsJSON {
            Screen.write(JSONValue.array(rows.map(\.json)).rendered + "\n")
        } else if rows.isEmpty, Screen.isTerminal {
            Screen.write("No DepthCaches; 'fathom create BTCUSDT' makes one.\n")
        } else {
            CacheList.table(rows, now: Screen.now).print()
        }
        let missing = markets.filter { market in
            !rows.contains { $0.market.asciiUppercased == market.asciiUppercased }
        }
        if !missing.isEmpty {
            throw CommandExit(
                code: ExitCode.failed, words: "no DepthCache for \(missing.joined(separator: ", "))")
        }
    }
}

/// `fathom create`: DepthCaches for markets.
enum CreateCommand: Command {
    static let specification = CommandSpecification(
        name: "fathom create", summary: "Create DepthCaches for markets.",
        discussion: """
            With --wait it ends when all copies are in sync. Exit code 1 if one was refused or is there already; the others are made
            all the same.
            """,
        flags: [
            ClientFlags.exchange,
            .value("replicas", "n", default: "1", help: "Copies of each, on different workers."),
            .value("depth", "n", help: "Levels a side that should be covered, 1 to 5000; otherwise 500."),
            .value("update-interval", "ms", help: "Feed speed; otherwise the exchange's fastest."),
            .value(
                "refresh-interval", "s",
                help: "Refresh from a fresh snapshot so often; otherwise only if needed."),
            .toggle("wait", help: "Wait until they are in sync."),
            .value("timeout", "s", default: "300", help: "How many seconds --wait waits at most."),
        ] + ClientFlags.target, positionals: ["market..."])

    static func run(_ arguments: ParsedArguments) async throws {
        let exchange = arguments.string("exchange") ?? "binance.com"
        let timeout = try arguments.integer("timeout", in: 1...86_400) ?? 300
        let specs = try arguments.positionals.map { market in
            DepthCacheSpec(
                exchange: exchange, market: market,
                replicas: try arguments.integer("replicas", in: 1...64) ?? 1,
                depth: try arguments.integer("depth", in: SpecBounds.depth) ?? SpecBounds.defaultDepth,
                updateIntervalMilliseconds: try arguments.integer(
                    "update-interval", in: SpecBounds.updateIntervalMilliseconds),
                refreshIntervalSeconds: try arguments.integer(
                    "refresh-interval", in: SpecBounds.refreshIntervalSeconds))
        }
        let target = try ClusterTarget(arguments)
        let change = CacheChange(target: target)
        try await change.each(specs, "created") { try await change.create($0) }
        guard arguments.has("wait") else { return }
        let progress = Progress()
        let end = ContinuousClock.now + .seconds(timeout)
        while true {
            let headway = try await CacheList.read(target).headway(arguments.positionals, of: exchange)
            if headway.ready == headway.asked { break }
            guard ContinuousClock.now < end else {
                progress.end()
                let reason = headway.reason.map { ", \($0)" } ?? ""
                throw CommandExit(
                    code: ExitCode.failed,
                    words: "after \(timeout) s \(headway.ready) of \(headway.asked) are in sync\(reason)")
            }
            progress.show("\(headway.ready) of \(headway.asked) in sync ...")
            try await Task.sleep(for: .milliseconds(250))
        }
        progress.end()
        Screen.write("all in sync\n")
    }
}

/// `fathom delete`: ends DepthCaches.
enum DeleteCommand: Command {
    static let specification = CommandSpecification(
        name: "fathom delete", summary: "Delete the DepthCaches of markets.",
        discussion: "Exit code 1 if a market has none; the others are deleted all the same.",
        flags: [ClientFlags.exchange] + ClientFlags.target, positionals: ["market..."])

    static func run(_ arguments: ParsedArguments) async throws {
        let exchange = arguments.string("exchange") ?? "binance.com"
        let change = CacheChange(target: try ClusterTarget(arguments))
        let specs = arguments.positionals.map { DepthCacheSpec(exchange: exchange, market: $0) }
        try await change.each(specs, "deleted") { try await change.delete($0) }
    }
}

/// Creates and deletes, by a gateway where one is known: it knows which markets there are.
private struct CacheChange: Sendable {
    let target: ClusterTarget
    private static let atOnce = 8

    /// Does it for all, some at a time, and tells each; throws at the end if one failed, at once if the cluster is away.
    func each(
        _ specs: [DepthCacheSpec], _ done: String,
        _ work: @escaping @Sendable (DepthCacheSpec) async throws -> Void
    ) async throws {
        let progress = Progress()
        var failures: [String] = []
        var told = 0
        try await withThrowingTaskGroup(of: (DepthCacheSpec, String?).self) { group in
            func take() async throws {
                guard let (spec, failure) = try await group.next() else { return }
                progress.end()
                told += 1
                let market = "\(spec.exchange) \(spec.market)"
                if let failure {
                    failures.append("\(market): \(failure)")
                } else {
                    Screen.write("\(market) \(done)\n")
                }
                progress.show("\(told) of \(specs.count) ...")
            }
            for (index, spec) in specs.enumerated() {
                if index >= Self.atOnce { try await take() }
                group.addTask {
                    do {
                        try await work(spec)
                        return (spec, nil)
                    } catch let refusal as GatewayAccess.Refusal {
                        return (spec, refusal.description)
                    } catch let error as APIError where error.code != nil {
                        return (spec, error.status?.message ?? error.description)
                    }
                }
            }
            while told < specs.count { try await take() }
        }
        progress.end()
        guard failures.isEmpty else {
            throw CommandExit(
                code: ExitCode.failed,
                words: failures.count == 1
                    ? failures[0] : "\(failures.count) failed:\n  " + failures.joined(separator: "\n  "))
        }
    }

    private var isByGateway: Bool { target.local != nil || target.kubernetes == nil }

    func create(_ spec: DepthCacheSpec) async throws {
        guard isByGateway else { return try await createObject(spec) }
        var document: JSONValue = [
            "exchange": .string(spec.exchange), "market": .string(spec.market),
            "desired_quantity": .int(Int64(spec.replicas)), "depth": .int(Int64(spec.depth)),
        ]
        document["update_interval"] = spec.updateIntervalMilliseconds.map { .int(Int64($0)) }
        document["refresh_interval"] = spec.refreshIntervalSeconds.map { .int(Int64($0)) }
        _ = try await target.gateway().ask("/create_depthcache", method: "POST", send: document)
    }

    private func createObject(_ spec: DepthCacheSpec) async throws {
        let client = try target.requireKubernetes(for: "DepthCaches are created")
        let name = ObjectNames.depthCache(exchange: spec.exchange, market: spec.market)
        let metadata = ObjectMeta(name: name, namespace: client.namespace)
        _ = try await client.create(DepthCache(metadata: metadata, spec: spec))
    }

    func delete(_ spec: DepthCacheSpec) async throws {
        if isByGateway {
            _ = try await target.gateway().ask(
                "/stop_depthcache", ["exchange": spec.exchange, "market": spec.market])
            return
        }
        let client = try target.requireKubernetes(for: "DepthCaches are deleted")
        // Duplicates too, or one of them would take its place.
        let caches = try await client.list(DepthCache.self).items.filter { $0.spec.key == spec.key }
        guard !caches.isEmpty else {
            throw GatewayAccess.Refusal(id: "#7000", message: "there is no DepthCache for it")
        }
        for cache in caches {
            try await client.delete(DepthCache.self, cache.metadata.name ?? "", uid: cache.metadata.uid)
        }
    }
}
