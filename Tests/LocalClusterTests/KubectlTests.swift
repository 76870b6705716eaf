import Glibc
import K8sClient
import TestSupport
import Testing

@testable import LocalCluster

/// The real kubectl, if this machine has one.
enum Kubectl {
    static let path: String? = ["/usr/local/bin/kubectl", "/usr/bin/kubectl", ".venv/bin/kubectl"]
        .first { unsafe access($0, X_OK) == 0 }
}

/// An embedded API server in this process with kubectl pointed at it.
final class KubectlFixture: Sendable {
    let folder = TemporaryFolder()
    let server: EmbeddedAPIServer

    init() throws {
        var configuration = ApiServerConfiguration()
        configuration.dataDirectory = folder.path + "/data"
        configuration.port = 0
        server = try EmbeddedAPIServer(configuration)
    }

    /// Runs `body` with a server of its own, and stops that.
    static func use(_ body: (KubectlFixture) async throws -> Void) async throws {
        let fixture = try KubectlFixture()
        do {
            try await body(fixture)
        } catch {
            await fixture.server.stop()
            throw error
        }
        await fixture.server.stop()
    }

    /// Runs kubectl to its end; output and errors in one text.
    @discardableResult
    func run(_ words: String..., environment: [String: String] = [:], expecting code: Int32 = 0) async throws
        -> String
    {
        let path = try #require(Kubectl.path)
        let child = try TestSupport.ChildProcess(
            path, ["--kubeconfig", server.kubeconfig, "--cache-dir", folder.path + "/cache"] + words,
            environment: environment)
        let status = try await child.waitForExit(within: .seconds(60))
        let text = child.output + child.errors
        #expect(status == code, "kubectl \(words.joined(separator: " ")): \(text)")
        return text
    }

    func file(_ name: String, _ text: String) throws -> String {
        let path = "\(folder.path)/\(name)"
        try Files.write(Array(text.utf8), to: path)
        return path
    }

    static func cache(_ name: String, market: String, replicas: Int = 1) -> String {
        """
        apiVersion: fathom.dev/v1alpha1
        kind: DepthCache
        metadata:
          name: \(name)
        spec:
          exchange: binance.com
          market: \(market)
          replicas: \(replicas)
        """
    }
}

@Suite(.enabled(if: Kubectl.path != nil, "needs kubectl"), .serialized)
struct `the real kubectl` {
    @Test func `applies, gets, edits, scales, patches and deletes a DepthCache`() async throws {
        try await KubectlFixture.use { fixture in
            let file = try fixture.file("a.yaml", KubectlFixture.cache("btc", market: "BTCUSDT"))
            #expect(try await fixture.run("apply", "-f", file).contains("depthcache.fathom.dev/btc created"))
            #expect(try await fixture.run("apply", "-f", file).contains("unchanged"))
            let more = try fixture.file("a.yaml", KubectlFixture.cache("btc", market: "BTCUSDT", replicas: 2))
            #expect(try await fixture.run("apply", "-f", more).contains("configured"))
            #expect(try await fixture.run("diff", "-f", more).isEmpty)
            let table = try await fixture.run("get", "dc", "-o", "wide")
            #expect(table.contains("BTCUSDT") && table.hasPrefix("NAME"))
            #expect(try await fixture.run("get", "dc", "btc", "-o", "jsonpath={.spec.replicas}") == "2")
            #expect(try await fixture.run("get", "dc", "btc", "-o", "yaml").contains("market: BTCUSDT"))
            #expect(try await fixture.run("describe", "dc", "btc").contains("Events:"))
            #expect(try await fixture.run("scale", "dc/btc", "--replicas=3").contains("scaled"))
            #expect(try await fixture.run("label", "dc", "btc", "team=a").contains("labeled"))
            #expect(try await fixture.run("annotate", "dc", "btc", "note=b").contains("annotated"))
            try await fixture.run(
                "patch", "dc", "btc", "--type=json", "-p",
                #"[{"op":"replace","path":"/spec/replicas","value":4}]"#)
            let editor = try fixture.file(
                "editor.sh", "#!/bin/sh\nsed -i 's/replicas: 4/replicas: 5/' \"$1\"\n")
            unsafe chmod(editor, 0o700)
            try await fixture.run("edit", "dc", "btc", environment: ["KUBE_EDITOR": editor])
            #expect(try await fixture.run("get", "dc", "btc", "-o", "jsonpath={.spec.replicas}") == "5")
            #expect(try await fixture.run("delete", "dc", "btc").contains("deleted"))
            #expect(try await fixture.run("get", "dc").contains("No resources found"))
        }
    }

    @Test func `applies server-side, also after a client-side apply, and sees conflicts`() async throws {
        try await KubectlFixture.use { fixture in
            let file = try fixture.file("a.yaml", KubectlFixture.cache("btc", market: "BTCUSDT"))
            try await fixture.run("apply", "-f", file)
            #expect(
                try await fixture.run("apply", "--server-side", "-f", file).contains("serverside-applied"))
            try await fixture.run("patch", "dc", "btc", "--type=merge", "-p", #"{"spec":{"replicas":3}}"#)
            let conflict = try await fixture.run("apply", "--server-side", "-f", file, expecting: 1)
            #expect(conflict.contains("conflict with \"kubectl-patch\""))
            try await fixture.run("apply", "--server-side", "--force-conflicts", "-f", file)
            #expect(try await fixture.run("get", "dc", "btc", "-o", "jsonpath={.spec.replicas}") == "1")
        }
    }

    @Test func `is told what is wrong with a spec`() async throws {
        try await KubectlFixture.use { fixture in
            let zero = try fixture.file("a.yaml", KubectlFixture.cache("a", market: "X", replicas: -1))
            #expect(
                try await fixture.run("apply", "-f", zero, expecting: 1).contains(
                    "spec.replicas: Invalid value: -1"))
            let odd = try fixture.file(
                "b.yaml", KubectlFixture.cache("a", market: "X") + "\n  flavour: sweet\n")
            #expect(
                try await fixture.run("apply", "-f", odd, expecting: 1).contains(
                    "unknown field \"spec.flavour\"")
            )
        }
    }

    @Test func `explains, lists resources and waits`() async throws {
        try await KubectlFixture.use { fixture in
            #expect(try await fixture.run("explain", "depthcache.spec").contains("market"))
            #expect(try await fixture.run("explain", "depthcache").contains("FIELDS"))
            let resources = try await fixture.run("api-resources")
            #expect(resources.contains("depthcaches") && resources.contains("leases"))
            let file = try fixture.file("a.yaml", KubectlFixture.cache("btc", market: "BTCUSDT"))
            try await fixture.run("apply", "-f", file)
            let status =
                #"{"status":{"conditions":[{"type":"Ready","status":"True","reason":"R","message":"","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}"#
            try await fixture.run("patch", "dc", "btc", "--subresource=status", "--type=merge", "-p", status)
            #expect(
                try await fixture.run("wait", "--for=condition=Ready", "dc/btc", "--timeout=20s").contains(
                    "condition met"))
            #expect(try await fixture.run("wait", "--for=delete", "dc/none", "--timeout=5s").isEmpty)
        }
    }

    @Test func `works with the builtin kinds`() async throws {
        try await KubectlFixture.use { fixture in
            try await fixture.run("create", "configmap", "c", "--from-literal=a=b")
            #expect(try await fixture.run("get", "cm", "c", "-o", "json").contains("\"a\": \"b\""))
            try await fixture.run("create", "secret", "generic", "s", "--from-literal=k=v")
            #expect(try await fixture.run("describe", "secret", "s").contains("1 bytes"))
            try await fixture.run("create", "namespace", "n")
            #expect(try await fixture.run("get", "ns").contains("Active"))
            try await fixture.run("delete", "ns", "n")
            #expect(try await fixture.run("get", "events").contains("No resources found"))
            #expect(
                try await fixture.run("get", "pods,leases,nodes,sa,crd").contains("depthcaches.fathom.dev"))
            #expect(try await fixture.run("version").contains("Server Version"))
            #expect(try await fixture.run("auth", "can-i", "get", "dc").contains("yes"))
            #expect(try await fixture.run("get", "dc", "--all-namespaces", "-o", "name").isEmpty || true)
        }
    }

    @Test func `watches a table`() async throws {
        try await KubectlFixture.use { fixture in
            let path = try #require(Kubectl.path)
            let watch = try TestSupport.ChildProcess(
                path,
                [
                    "--kubeconfig", fixture.server.kubeconfig, "--cache-dir", fixture.folder.path + "/cache2",
                    "get", "dc", "-w",
                ])
            let file = try fixture.file("a.yaml", KubectlFixture.cache("btc", market: "BTCUSDT"))
            try await fixture.run("apply", "-f", file)
            try await eventually("the new object in the watch", within: .seconds(30)) {
                watch.output.contains("BTCUSDT")
            }
            try await fixture.run("scale", "dc/btc", "--replicas=2")
            try await eventually("the change in the watch", within: .seconds(30)) {
                watch.output.split(separator: "\n").count { $0.contains("BTCUSDT") } >= 2
            }
            watch.send(SIGTERM)
        }
    }
}
