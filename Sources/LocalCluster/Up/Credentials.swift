import K8sClient
import FoundationEssentials
import Transport

/// Keys and tokens of a data directory: made once, kept for as long as the directory lives.
struct Credentials: Sendable {
    let authority: CertificateAuthority
    let tokens: [APIRole: String]

    /// Reads what is there and creates what is missing.
    static func prepare(in directory: String) throws -> Credentials {
        try Files.makeDirectory(directory)
        let certificateFile = "\(directory)/ca.pem"
        let keyFile = "\(directory)/ca-key.pem"
        let authority: CertificateAuthority
        if let certificate = Files.read(certificateFile), let key = Files.read(keyFile) {
            authority = CertificateAuthority(
                credential: Credential(certificatePEM: certificate, keyPEM: key))
        } else {
            authority = try CertificateAuthority.create(commonName: "Fathom local cluster")
            try Files.write(authority.credential.keyPEM, to: keyFile)
            try Files.write(authority.credential.certificatePEM, to: certificateFile)
        }
        let tokenFile = "\(directory)/tokens.json"
        var tokens: [APIRole: String] = [:]
        if let bytes = Files.read(tokenFile), let known = try? JSONValue(parsing: bytes) {
            for role in APIRole.allCases { tokens[role] = known[role.rawValue]?.text }
        }
        if tokens.count < APIRole.allCases.count {
            var json: JSONValue = [:]
            for role in APIRole.allCases {
                let token = try tokens[role] ?? Digest.hex(Digest.random(24))
                tokens[role] = token
                json[role.rawValue] = .string(token)
            }
            try Files.write(json.bytes, to: tokenFile)
        }
        return Credentials(authority: authority, tokens: tokens)
    }

    /// The key of the link between gateways and workers, as hex text.
    static func prepareLinkKey(in directory: String) throws -> String {
        let file = "\(directory)/link.key"
        if Files.read(file) == nil {
            try Files.write(Array((Digest.hex(try Digest.random(32)) + "\n").utf8), to: file)
        }
        return file
    }

    static func kubeconfigFile(_ role: APIRole, in directory: String) -> String {
        role == .admin ? "\(directory)/kubeconfig" : "\(directory)/\(role.rawValue).kubeconfig"
    }

    /// Writes one kubeconfig per role for a server at this address.
    func writeKubeconfigs(in directory: String, server: String) throws(LocalClusterError) {
        let authorityData = Data(authority.credential.certificatePEM).base64EncodedString()
        for role in APIRole.allCases {
            let text = """
                apiVersion: v1
                kind: Config
                current-context: fathom
                clusters:
                - name: fathom
                  cluster:
                    server: \(server)
                    certificate-authority-data: \(authorityData)
                users:
                - name: \(role.rawValue)
                  user:
                    token: \(tokens[role] ?? "")
                contexts:
                - name: fathom
                  context:
                    cluster: fathom
                    user: \(role.rawValue)
                    namespace: default

                """
            try Files.write(Array(text.utf8), to: Self.kubeconfigFile(role, in: directory))
        }
    }
}
