import Glibc
import K8sClient
import TestSupport
import Testing
import Transport

@testable import LocalCluster

@Suite struct `the supervisor's parts` {
    let folder = TemporaryFolder()

    func start(_ script: String, onLine: @escaping @Sendable (String) -> Void = { _ in }) throws
        -> LocalCluster.ChildProcess
    {
        try LocalCluster.ChildProcess.start(
            name: "child", program: "/bin/sh", arguments: ["-c", script], logFile: folder.path + "/child.log",
            onLine: onLine)
    }

    @Test func `a child's output is in its log and its exit code is known`() async throws {
        let child = try start("echo one; echo two >&2; exit 3")
        #expect(await child.waitForExit() == 3)
        #expect(child.lastLines == ["one", "two"])
        #expect(Files.read(folder.path + "/child.log") == Array("one\ntwo\n".utf8))
    }

    @Test func `a child that does not want to end is killed`() async throws {
        let child = try start("trap '' TERM; echo up; while :; do sleep 0.05; done")
        try await eventually("the child's trap") { child.lastLines.contains("up") }
        await child.stop(within: .milliseconds(100))
        #expect(child.exitCode == 128 + SIGKILL)
    }

    @Test func `a child has its own process group and only the descriptors that it needs`() async throws {
        let child = try start(
            "echo $(ls /proc/$$/fd | tr '\\n' ' '); ps -o pgid= -p $$ 2>/dev/null || echo $$")
        _ = await child.waitForExit()
        #expect(child.lastLines.first?.hasPrefix("0 1 2 3") ?? false)
        #expect(child.lastLines.last?.filter { $0 != " " } == "\(child.pid)")
    }

    @Test func `a program that is not there is a clear error`() {
        let error = #expect(throws: LocalClusterError.self) {
            try LocalCluster.ChildProcess.start(
                name: "x", program: "/nowhere/program", arguments: [], logFile: folder.path + "/x.log"
            ) { _ in }
        }
        #expect(error?.description.contains("/nowhere/program") ?? false)
    }

    @Test func `a port in use is an error that names it and the flag`() throws {
        let port = try Ports.claim(0, host: "127.0.0.1", flag: "--port")
        let holder = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(holder) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = unsafe inet_addr("127.0.0.1")
        let isHeld = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(holder, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
                    && listen(holder, 1) == 0
            }
        }
        try #require(isHeld)
        let error = #expect(throws: LocalClusterError.self) {
            try Ports.claim(port, host: "127.0.0.1", flag: "--port")
        }
        #expect(error?.description.contains("port \(port)") ?? false)
        #expect(error?.description.contains("--port") ?? false)
        #expect(try Ports.prefer(port, host: "127.0.0.1", not: []) != port)
    }

    @Test func `an unusable data directory and a second user of it are clear errors`() async throws {
        try Files.write([], to: folder.path + "/file")
        var configuration = UpConfiguration()
        configuration.dataDirectory = folder.path + "/file/data"
        let error = await #expect(throws: LocalClusterError.self) { try await runUp(configuration) }
        #expect(error?.description.contains(folder.path + "/file/data") ?? false)
        configuration.dataDirectory = folder.path + "/data"
        try Files.makeDirectory(configuration.dataDirectory)
        let lock = try Files.lock(configuration.dataDirectory + "/up.lock")
        try #require(lock != nil)
        let second = await #expect(throws: LocalClusterError.self) { try await runUp(configuration) }
        #expect(second?.description.contains("another 'fathom up'") ?? false)
        if let lock { close(lock) }
    }

    @Test func `keys, tokens and kubeconfigs are made once and are private`() throws {
        let directory = folder.path + "/data"
        let first = try Credentials.prepare(in: directory)
        let key = try Credentials.prepareLinkKey(in: directory)
        let second = try Credentials.prepare(in: directory)
        #expect(first.tokens == second.tokens && first.authority.credential == second.authority.credential)
        try first.writeKubeconfigs(in: directory, server: "https://127.0.0.1:1")
        for file in [key, directory + "/tokens.json", directory + "/ca-key.pem", directory + "/kubeconfig"] {
            var facts = stat()
            try #require(unsafe stat(file, &facts) == 0)
            #expect(facts.st_mode & 0o777 == 0o600, "\(file)")
        }
        var facts = stat()
        try #require(unsafe stat(directory, &facts) == 0)
        #expect(facts.st_mode & 0o777 == 0o700)
    }

    @Test func `one look that shows nothing does not make a program count as not ready, three do`() {
        let child = KeptChild(name: "x", component: nil, program: "", port: 0, readyURL: nil) { _ in [] }
        func looks(_ answers: [String?]) -> [Bool] {
            answers.map { answer in
                child.looked(answer)
                return child.condition.isReady
            }
        }
        #expect(looks(["503", nil]) == [false, true])
        #expect(
            looks(["late", "late", nil, "late", "late", "late", "late"]) == [
                true, true, true, true, true, false, false,
            ])
        #expect(looks([nil, "late"]) == [true, true])
        child.noteExit(code: 1, isWanted: false)
        #expect(looks(["late", nil, "late", "late"]) == [false, true, true, true])
    }

    @Test func `restarts come at once, then ever more slowly`() {
        let child = KeptChild(name: "x", component: nil, program: "", port: 0, readyURL: nil) { _ in [] }
        #expect(child.backoff < .milliseconds(200))
        for _ in 0..<20 { child.noteExit(code: 1, isWanted: false) }
        #expect(child.backoff >= .seconds(5) && child.backoff <= .seconds(10))
        #expect(child.condition.restarts == 20)
    }
}
