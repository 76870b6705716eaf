import Arguments
import K8sClient

/// `fathom book`: one market's book.
enum BookCommand: Command {
    static let specification = CommandSpecification(
        name: "fathom book", summary: "Show a market's book as a ladder, live on a terminal.",
        discussion: """
            Ctrl-C ends it. Without a terminal, or with --once, the book is printed once; -o json prints one line each time. Both
            sides are asked for at the same time and may be some milliseconds apart.
            Exit code 1 if there is no book in sync.
            """,
        flags: [
            ClientFlags.exchange,
            .value("limit", "n", default: "10", help: "Levels a side, 1 to 5000."),
            .value("interval", "ms", default: "500", help: "How often it is asked for, 50 to 60000."),
            .toggle("once", help: "Print it once and end."), ClientFlags.output,
        ] + ClientFlags.target, positionals: ["market"])

    static func endsWhenTold(_ arguments: ParsedArguments) -> Bool { ClientFlags.isLive(arguments) }

    static func run(_ arguments: ParsedArguments) async throws {
        let wantsJSON = try ClientFlags.wantsJSON(arguments)
        let limit = try arguments.integer("limit", in: 1...5000) ?? 10
        let interval = Duration.milliseconds(try arguments.integer("interval", in: 50...60_000) ?? 500)
        let exchange = arguments.string("exchange") ?? "binance.com"
        let market = arguments.positionals[0]
        let gateway = try await ClusterTarget(arguments).gateway()
        @Sendable func ask() async throws -> BookAnswer {
            try await BookAnswer.ask(gateway, exchange: exchange, market: market, limit: limit)
        }
        if wantsJSON {
            repeat {
                Screen.write(try await ask().json.rendered + "\n")
                if !arguments.has("once") { try await Task.sleep(for: interval) }
            } while !arguments.has("once")
        } else if !ClientFlags.isLive(arguments) {
            let book = try await ask()
            if Screen.isTerminal {
                Screen.write(Ladder.lines(book, now: Screen.now).map { $0 + "\n" }.joined())
            } else {
                Ladder.table(book).print()
            }
        } else {
            // What cannot be answered at all is said before the screen changes.
            _ = try await ask()
            try await Screen.live(every: interval) {
                do { return Ladder.lines(try await ask(), now: Screen.now) } catch let error
                    as GatewayAccess.Refusal
                {
                    return ["\(exchange) \(market)", "", error.description]
                } catch let error as CommandExit {
                    return ["\(exchange) \(market)", "", error.words ?? ""]
                }
            }
        }
    }
}

/// `fathom top`: all markets at a glance.
enum TopCommand: Command {
    static let specification = CommandSpecification(
        name: "fathom top",
        summary: "Show best prices, age, coverage and copies of all books, live on a terminal.",
        discussion: """
            Ctrl-C ends it. Without a terminal, or with --once, the table is printed once; -o json prints one line each time. AGE is the
            time since the last message of the market by this machine's clock, COVERAGE the levels of the shallower side that
            are known for sure.
            """,
        flags: [
            .value("exchange", "NAME", environment: "FATHOM_EXCHANGE", help: "Only those of this exchange."),
            .value("interval", "ms", default: "1000", help: "How often it is asked for, 100 to 60000."),
            .toggle("once", help: "Print it once and end."), ClientFlags.output,
        ] + ClientFlags.target)

    static func endsWhenTold(_ arguments: ParsedArguments) -> Bool { ClientFlags.isLive(arguments) }

    static func run(_ arguments: ParsedArguments) async throws {
        let wantsJSON = try ClientFlags.wantsJSON(arguments)
        let interval = Duration.milliseconds(try arguments.integer("interval", in: 100...60_000) ?? 1000)
        let exchange = arguments.string("exchange")
        let gateway = try await ClusterTarget(arguments).gateway()
        if wantsJSON {
            repeat {
                Screen.write(try await TopTable.ask(gateway, exchange: exchange).json.rendered + "\n")
                if !arguments.has("once") { try await Task.sleep(for: interval) }
            } while !arguments.has("once")
        } else if !ClientFlags.isLive(arguments) {
            let progress = Progress()
            let top = try await TopTable.ask(gateway, exchange: exchange) { progress.show($0) }
            progress.end()
            top.table(now: Screen.now).print()
        } else {
            _ = try await gateway.ask("/test")
            try await Screen.live(every: interval) {
                do {
                    return try await TopTable.ask(gateway, exchange: exchange).screen(
                        gateway.url, now: Screen.now)
                } catch let error as GatewayAccess.Refusal {
                    return [error.description]
                } catch let error as CommandExit {
                    return [error.words ?? ""]
                }
            }
        }
    }
}
