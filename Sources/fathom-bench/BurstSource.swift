import Arguments
import FoundationEssentials
import Glibc
import Transport

/// The simulator in burst mode as a process of its own.
final class BurstSource {
    private let process: pid_t
    private let lifeline: Int32
    private let http: HTTPClient
    private let port: Int
    let caFile: String

    private struct Listening: Decodable {
        var port: Int
        var caFile: String
    }

    /// Where the pace is told.
    private struct Told: Decodable {
        var behind: Int
        var ids: [String: Int64]
    }

    init(program: String, core: Int?, books: Int, levels: Int, depth: Int) throws {
        var ends: [Int32] = [0, 0]
        var output: [Int32] = [0, 0]
        guard unsafe pipe(&ends) == 0, unsafe pipe(&output) == 0 else { throw ArgumentError("no pipe") }
        let words =
            [
                program, "--burst", "--symbols", "\(books)", "--levels", "\(levels)", "--depth", "\(depth)",
                "--rate", "1", "--lifeline-fd", "3",
            ] + (core.map { ["--core", "\($0)"] } ?? [])
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_adddup2(&actions, ends[0], 3)
        unsafe posix_spawn_file_actions_adddup2(&actions, output[1], 1)
        unsafe posix_spawn_file_actions_addclose(&actions, ends[1])
        var arguments = unsafe words.map { unsafe strdup($0) } + [nil]
        defer { unsafe arguments.forEach { unsafe free($0) } }
        var child = pid_t()
        let code = unsafe posix_spawn(&child, program, &actions, nil, &arguments, environ)
        guard code == 0 else { throw ArgumentError("cannot start \(program); --simulator names it") }
        _ = (close(ends[0]), close(output[1]))
        (process, lifeline) = (child, ends[1])
        var line: [UInt8] = []
        var byte: UInt8 = 0
        while unsafe read(output[0], &byte, 1) == 1, byte != 10 { line.append(byte) }
        _ = close(output[0])
        let listening = try JSONDecoder().decode(Listening.self, from: Data(line))
        (port, caFile) = (listening.port, listening.caFile)
        http = try HTTPClient()
    }

    /// What a worker must be told to find it.
    var exchangesFile: [UInt8] {
        Array(
            """
            binance.com:
              restBaseURL: https://127.0.0.1:\(port)/binance.com
              webSocketBaseURL: wss://127.0.0.1:\(port)/binance.com
              caFile: \(caFile)
              streamsPerConnection: 1024
              messagesPerSecond: 100
            """.utf8)
    }

    /// Changes the pace; gives how many events senders were behind it at most until now, and the last ids.
    @discardableResult func tell(_ query: String) async throws -> (behind: Int, ids: [String: Int64]) {
        let call = HTTPClientRequest(
            url: "https://127.0.0.1:\(port)/burst?\(query)", tls: TLSClientSettings(authorityFile: caFile))
        let told = try JSONDecoder().decode(Told.self, from: Data(try await http.send(call).body))
        return (told.behind, told.ids)
    }

    func stop() {
        _ = close(lifeline)
        var status: Int32 = 0
        _ = unsafe waitpid(process, &status, 0)
    }
}
