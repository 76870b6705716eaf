import K8sClient
import TestSupport
import Testing
import Transport

@Suite struct ConfigurationTests {
    let folder: TemporaryDirectory

    init() throws { folder = try TemporaryDirectory() }

    func load(_ text: String, context: String? = nil) throws -> KubernetesConfiguration {
        let file = try folder.write("config", text)
        return try KubernetesConfiguration.load(kubeconfig: file, context: context)
    }

    static let base = """
        apiVersion: v1
        kind: Config
        current-context: one
        contexts:
        - {name: one, context: {cluster: c, user: u, namespace: ns}}
        - {name: two, context: {cluster: gone}}
        clusters:
        - name: c
          cluster: {server: "https://127.0.0.1:6443/", certificate-authority: ca.pem}
        users:
        - name: u
          user: {client-certificate-data: Y2VydA==, client-key-data: a2V5, tokenFile: token}
        """

    @Test func `a kubeconfig is read with its relative files`() throws {
        try folder.write("ca.pem", "authority")
        let configuration = try load(Self.base)
        #expect(configuration.server == "https://127.0.0.1:6443")
        #expect(configuration.namespace == "ns")
        #expect(configuration.tls.authorityPEM == Array("authority".utf8))
        #expect(configuration.tls.certificatePEM == Array("cert".utf8))
        #expect(configuration.tls.keyPEM == Array("key".utf8))
        guard case .tokenFile(let path) = configuration.credential else {
            Issue.record("no token file")
            return
        }
        #expect(path == folder.path + "/token")
    }

    @Test func `an insecure cluster and a plain token`() throws {
        let text = Self.base.replacing(
            "certificate-authority: ca.pem", with: "insecure-skip-tls-verify: true"
        )
        .replacing("tokenFile: token", with: "token: secret")
        let configuration = try load(text)
        #expect(configuration.tls.skipsVerification)
        guard case .token("secret") = configuration.credential else {
            Issue.record("no token")
            return
        }
    }

    @Test(arguments: [
        ("current-context: one", "current-context: three", nil, "has no context \"three\""),
        ("current-context: one", "", nil, "has no current-context: it points nowhere"),
        ("", "", "two", "has no cluster \"gone\""),
        ("server: \"https://127.0.0.1:6443/\", ", "", nil, "cluster \"c\" has no server"),
        ("ca.pem", "missing.pem", nil, "certificate-authority"),
        ("Y2VydA==", "'*'", nil, "client-certificate-data is not base64"),
        ("kind: Config", "kind: [", nil, "line "),
    ])
    func `what is wrong is said with the file`(
        _ old: String, _ new: String, _ context: String?, _ message: String
    ) throws {
        try folder.write("ca.pem", "authority")
        #expect {
            try load(old.isEmpty ? Self.base : Self.base.replacing(old, with: new), context: context)
        } throws: {
            "\($0)".contains(message) && "\($0)".contains(folder.path)
        }
    }

    @Test func `a missing file and an empty one are told apart`() throws {
        #expect {
            try KubernetesConfiguration.load(kubeconfig: folder.path + "/none")
        } throws: {
            "\($0)".contains("No such file or directory")
        }
        #expect {
            try load("")
        } throws: {
            "\($0)".contains("is empty or not a mapping")
        }
    }

    @Test func `a pod's service account is found and IPv6 is bracketed`() throws {
        try folder.write("token", "t\n")
        try folder.write("namespace", "prod\n")
        let configuration = try KubernetesConfiguration.inCluster(
            environment: ["KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"],
            folder: folder.path)
        #expect(configuration.server == "https://[fd00::1]:443")
        #expect(configuration.namespace == "prod")
        #expect {
            try KubernetesConfiguration.load(environment: [:])
        } throws: {
            "\($0)".contains("--kubeconfig")
        }
    }

    @Test func `requests are built as values`() {
        var request = APIRequest(
            "GET", APIRequest.path(Lease.resource, namespace: "a b", name: "x/y", subresource: "status"))
        request.select(Selector(labels: ["b": "2", "a": "1"]))
        #expect(
            request.target
                == "/apis/coordination.k8s.io/v1/namespaces/a%20b/leases/x%2Fy/status?labelSelector=a%3D1%2Cb%3D2"
        )
        #expect(APIRequest.path(Node.resource, namespace: "a") == "/api/v1/nodes")
        #expect(APIRequest.path(Pod.resource, namespace: nil) == "/api/v1/pods")
    }
}
