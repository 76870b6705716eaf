import Glibc
package import K8sClient

/// A local cluster that runs in a data directory, as other commands of the same user see it.
package struct LocalControl: Sendable {
    package let directory: String
    /// What `up.json` says.
    package let facts: JSONValue

    /// Finds the cluster of a data directory; nil if none runs there.
    ///
    /// The file of a killed one stays behind, so its process has to be there, too.
    package static func find(in directory: String) -> LocalControl? {
        guard let bytes = Files.read("\(directory)/up.json"), let facts = try? JSONValue(parsing: bytes),
            let pid = facts["pid"]?.whole, isUp(pid)
        else { return nil }
        return LocalControl(directory: directory, facts: facts)
    }

    package var pid: Int { facts["pid"]?.whole ?? 0 }
    package var isRunning: Bool { Self.isUp(pid) }
    package var gateway: String? { facts.at("gateway", "url")?.text }
    package var kubeconfig: String? { facts.at("kubernetes", "kubeconfig")?.text }

    /// Whether the number is that of a `fathom up`: numbers are given again.
    private static func isUp(_ pid: Int) -> Bool {
        guard pid > 0, let words = Files.read("/proc/\(pid)/cmdline") else { return false }
        return words.split(separator: 0).dropFirst().first.map { String(decoding: $0, as: UTF8.self) } == "up"
    }

    /// Sends an order and waits for its end; `say` gets the progress.
    @concurrent package func send(
        _ order: JSONValue, say: @escaping @Sendable (String) -> Void
    ) async throws(LocalClusterError) -> JSONValue {
        let descriptor = try unsafe UnixSocket.named(ControlSocket.fileName, in: directory) {
            socket, address, size in
            unsafe connect(socket, address, size) == 0
        }
        defer { close(descriptor) }
        let outcome = await withTaskCancellationHandler {
            Self.talk(order, over: descriptor, say)
        } onCancel: {
            // Ends the wait for the next line; the cluster goes on with what it was told.
            shutdown(descriptor, Int32(SHUT_RDWR))
        }
        if let answer = outcome {
            if let words = answer["error"]?.text { throw LocalClusterError(words) }
            return answer
        }
        throw LocalClusterError(
            Task.isCancelled
                ? "not waiting any longer; the cluster goes on with it"
                : "the local cluster has ended before it had done this; see \(directory)/logs")
    }

    /// The last answer; nil if the connection ended before it.
    private static func talk(
        _ order: JSONValue, over descriptor: Int32, _ say: @Sendable (String) -> Void
    ) -> JSONValue? {
        guard Files.writeAll(order.bytes + [UInt8(ascii: "\n")], to: descriptor) else { return nil }
        var lines = LineReader(descriptor: descriptor)
        while let line = lines.next(), let answer = JSONValue(text: line) {
            guard let words = answer["say"]?.text else { return answer }
            say(words)
        }
        return nil
    }
}
