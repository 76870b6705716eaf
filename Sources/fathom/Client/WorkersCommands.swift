import Arguments
import K8sClient
import LocalCluster

/// What the three commands have in common: an order to the running `fathom up`.
private enum WorkerOrder {
    static let flags = [
        ClientFlags.dataDirectory,
        Flag.value(
            "output", "table|json", default: "table", short: "o",
            help: "How to print the names of the workers that were changed; -o is short for it."),
    ]

    static func send(_ order: JSONValue, _ arguments: ParsedArguments) async throws {
        let wantsJSON = try ClientFlags.wantsJSON(arguments)
        let cluster = try ClusterTarget.local(arguments)
        let answer: JSONValue
        do {
            answer = try await cluster.send(order) { Screen.write($0 + "\n", to: 2) }
        } catch {
            throw CommandExit(
                code: Task.isCancelled ? ExitCode.interrupted : ExitCode.failed, words: "\(error)")
        }
        let names = answer["workers"] ?? []
        let lines = (names.elements ?? []).compactMap(\.text).map { $0 + "\n" }
        Screen.write(wantsJSON ? names.rendered + "\n" : lines.joined())
    }
}

/// `fathom workers add`.
enum WorkersAddCommand: Command {
    static let specification = CommandSpecification(
        name: "fathom workers add", summary: "Start more workers in the local cluster.",
        discussion:
            "Waits until they are ready and prints their names; the controller moves copies to them by and by.",
        flags: WorkerOrder.flags, positionals: ["[count]"])

    static func run(_ arguments: ParsedArguments) async throws {
        let word = arguments.positionals.first ?? "1"
        guard let count = Int(word), (1...64).contains(count) else {
            throw ArgumentError("<count>: expected a whole number from 1 to 64, was '\(word)'")
        }
        try await WorkerOrder.send(["order": "add", "count": .int(Int64(count))], arguments)
    }
}

/// `fathom workers remove`.
enum WorkersRemoveCommand: Command {
    static let specification = CommandSpecification(
        name: "fathom workers remove",
        summary: "Stop workers of the local cluster once others keep their books.",
        discussion: """
            Workers are named by name or by their pod's uid; a number means the first so many of 'fathom status'. No query fails.
            """,
        flags: WorkerOrder.flags, positionals: ["count|name..."])

    static func run(_ arguments: ParsedArguments) async throws {
        let words = arguments.positionals
        if words.count == 1, let count = Int(words[0]) {
            return try await WorkerOrder.send(["order": "remove", "count": .int(Int64(count))], arguments)
        }
        let names = JSONValue.array(words.map { .string($0) })
        try await WorkerOrder.send(["order": "remove", "names": names], arguments)
    }
}

/// `fathom workers restart`.
enum WorkersRestartCommand: Command {
    static let specification = CommandSpecification(
        name: "fathom workers restart", summary: "Replace workers of the local cluster one by one.",
        discussion: """
            Each gets a successor, which is ready before the old one hands over its books and ends; no query fails. Without
            a name all are replaced. Prints the names of the new ones.
            """,
        flags: WorkerOrder.flags, positionals: ["[name...]"])

    static func run(_ arguments: ParsedArguments) async throws {
        let names = JSONValue.array(arguments.positionals.map { .string($0) })
        try await WorkerOrder.send(["order": "restart", "names": names], arguments)
    }
}
