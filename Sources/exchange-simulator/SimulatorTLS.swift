import FoundationEssentials
import Transport

/// The simulator's own authority and certificate, written to files.
struct SimulatorTLS {
    /// The file with the certificate that clients must trust.
    let caFile: String
    let settings: TLSServerSettings
    /// A folder of our own making, to be removed at the end.
    let temporaryDirectory: String?

    init(_ directory: String?) throws {
        temporaryDirectory =
            directory == nil
            ? FileManager.default.temporaryDirectory.path + "/exchange-simulator-\(UUID().uuidString)" : nil
        let directory = directory ?? temporaryDirectory ?? "."
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let authority = try CertificateAuthority.create(commonName: "Exchange simulator")
        let credential = try authority.issue(
            commonName: "exchange-simulator", hosts: ["127.0.0.1", "localhost", "::1"])
        caFile = URL(fileURLWithPath: directory + "/ca.pem").path
        try Data(authority.credential.certificatePEM).write(to: URL(fileURLWithPath: caFile))
        settings = TLSServerSettings(
            certificateFile: directory + "/server.pem", keyFile: directory + "/server.key")
        try Data(credential.certificatePEM).write(to: URL(fileURLWithPath: settings.certificateFile))
        try Data(credential.keyPEM).write(to: URL(fileURLWithPath: settings.keyFile))
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: settings.keyFile)
    }

    func removeTemporaryFiles() {
        if let temporaryDirectory { try? FileManager.default.removeItem(atPath: temporaryDirectory) }
    }
}
