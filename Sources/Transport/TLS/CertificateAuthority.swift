internal import COpenSSL

/// A certificate and its key, as PEM text.
package struct Credential: Sendable, Equatable {
    package var certificatePEM: [UInt8]
    package var keyPEM: [UInt8]

    package init(certificatePEM: [UInt8], keyPEM: [UInt8]) {
        self.certificatePEM = certificatePEM
        self.keyPEM = keyPEM
    }
}

/// A small authority of our own, for the local cluster and the simulator: EC P-256, valid for ten years.
package struct CertificateAuthority: Sendable {
    /// The authority's own certificate and key; whoever keeps them can go on with the same authority later.
    package let credential: Credential

    package init(credential: Credential) { self.credential = credential }

    package static func create(commonName: String) throws(TransportError) -> CertificateAuthority {
        let key = try PrivateKey()
        let certificate = try Certificate(
            commonName: commonName, key: key, issuer: nil, issuerKey: key,
            extensions: [
                (NID_basic_constraints, "critical,CA:TRUE"), (NID_key_usage, "critical,keyCertSign,cRLSign"),
                (NID_subject_key_identifier, "hash"),
            ])
        return CertificateAuthority(
            credential: Credential(certificatePEM: try certificate.pem(), keyPEM: try key.pem()))
    }

    /// A certificate for a server (`hosts`: names and addresses) or, with `isClient`, for a client.
    package func issue(
        commonName: String, hosts: [String] = [], isClient: Bool = false
    ) throws(TransportError) -> Credential {
        let issuerKey = try PrivateKey(pem: credential.keyPEM)
        let issuer = try Certificate(pem: credential.certificatePEM)
        let key = try PrivateKey()
        var extensions: [(Int32, String)] = [
            (NID_basic_constraints, "critical,CA:FALSE"), (NID_key_usage, "critical,digitalSignature"),
            (NID_ext_key_usage, isClient ? "clientAuth" : "serverAuth"),
        ]
        if !hosts.isEmpty {
            let names = hosts.map { Self.isAddress($0) ? "IP:\($0)" : "DNS:\($0)" }
            extensions.append((NID_subject_alt_name, names.joined(separator: ",")))
        }
        let certificate = try Certificate(
            commonName: commonName, key: key, issuer: issuer, issuerKey: issuerKey, extensions: extensions)
        return Credential(certificatePEM: try certificate.pem(), keyPEM: try key.pem())
    }

    private static func isAddress(_ host: String) -> Bool {
        host.contains(":") || host.allSatisfy { $0.isNumber || $0 == "." }
    }
}

/// OpenSSL's own words for what just failed.
private func failure(_ doing: String) -> TransportError {
    var text = [CChar](repeating: 0, count: 256)
    unsafe ERR_error_string_n(ERR_get_error(), &text, text.count)
    let words = String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    return TransportError("\(doing): \(words)", source: .ours)
}

/// What an in-memory BIO holds after `write` filled it.
private func text(_ doing: String, _ write: (OpaquePointer) -> Int32) throws(TransportError) -> [UInt8] {
    guard let output = unsafe BIO_new(BIO_s_mem()) else { throw failure(doing) }
    defer { unsafe BIO_free_all(output) }
    guard unsafe write(output) == 1 else { throw failure(doing) }
    var bytes = [UInt8](repeating: 0, count: Int(unsafe BIO_ctrl_pending(output)))
    unsafe BIO_read(output, &bytes, Int32(bytes.count))
    return bytes
}

// Safe because: the pointer is made in `init` and freed in `deinit`, and never leaves this file.
@safe private final class PrivateKey {
    let raw: OpaquePointer

    init() throws(TransportError) {
        guard let key = unsafe copenssl_new_p256_key() else { throw failure("making a key") }
        unsafe raw = unsafe key
    }

    init(pem: [UInt8]) throws(TransportError) {
        let input = unsafe BIO_new_mem_buf(pem, Int32(pem.count))
        defer { unsafe BIO_free_all(input) }
        guard let key = unsafe PEM_read_bio_PrivateKey(input, nil, nil, nil) else {
            throw failure("reading a key")
        }
        unsafe raw = unsafe key
    }

    deinit { unsafe EVP_PKEY_free(raw) }

    func pem() throws(TransportError) -> [UInt8] {
        try unsafe text("writing a key") { unsafe PEM_write_bio_PrivateKey($0, raw, nil, nil, 0, nil, nil) }
    }
}

// Safe because: the pointer is made in `init` and freed in `deinit`, and never leaves this file.
@safe private final class Certificate {
    let raw: OpaquePointer

    init(pem: [UInt8]) throws(TransportError) {
        let input = unsafe BIO_new_mem_buf(pem, Int32(pem.count))
        defer { unsafe BIO_free_all(input) }
        guard let certificate = unsafe PEM_read_bio_X509(input, nil, nil, nil) else {
            throw failure("reading a certificate")
        }
        unsafe raw = unsafe certificate
    }

    deinit { unsafe X509_free(raw) }

    init(
        commonName: String, key: PrivateKey, issuer: Certificate?, issuerKey: PrivateKey,
        extensions: [(Int32, String)]
    ) throws(TransportError) {
        let doing = "making the certificate of \(commonName)"
        let serial = try Digest.random(16)
        guard let made = unsafe X509_new() else { throw failure(doing) }
        unsafe raw = unsafe made
        unsafe X509_set_version(made, 2)
        let number = unsafe BN_bin2bn(serial, 16, nil)
        unsafe BN_to_ASN1_INTEGER(number, X509_get_serialNumber(made))
        unsafe BN_free(number)
        unsafe X509_gmtime_adj(X509_getm_notBefore(made), -3_600)
        unsafe X509_gmtime_adj(X509_getm_notAfter(made), 10 * 365 * 86_400)
        unsafe X509_set_pubkey(made, key.raw)
        let subject = unsafe X509_get_subject_name(made)
        unsafe X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, commonName, -1, -1, 0)
        let issuing = unsafe issuer?.raw ?? made
        unsafe X509_set_issuer_name(made, X509_get_subject_name(issuing))
        var context = unsafe X509V3_CTX()
        unsafe X509V3_set_ctx(&context, issuing, made, nil, nil, 0)
        for (identifier, value) in extensions {
            guard let extensionValue = unsafe X509V3_EXT_conf_nid(nil, &context, identifier, value) else {
                throw failure(doing)
            }
            unsafe X509_add_ext(made, extensionValue, -1)
            unsafe X509_EXTENSION_free(extensionValue)
        }
        guard unsafe X509_sign(made, issuerKey.raw, EVP_sha256()) > 0 else { throw failure(doing) }
    }

    func pem() throws(TransportError) -> [UInt8] {
        try unsafe text("writing a certificate") { unsafe PEM_write_bio_X509($0, raw) }
    }
}
