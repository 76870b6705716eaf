internal import COpenSSL
internal import Glibc

/// TLS of one client connection over memory: ciphertext in and out as bytes, so that any channel can carry it.
///
/// libwebsockets 4.1 starts TLS of a raw client connection before it has a socket, so its own TLS cannot be used there.
// Safe because: the pointers are made in `init`, freed in `deinit`, and used on one loop's thread only.
@safe final class TLSClientSession {
    private let session: OpaquePointer
    private let incoming: OpaquePointer
    private let outgoing: OpaquePointer
    private(set) var isEstablished = false
    private static let alpn: [UInt8] = [8] + Array("http/1.1".utf8)

    init(host: String, settings: TLSClientSettings) throws(TransportError) {
        let context = unsafe try Self.context(settings)
        defer { unsafe SSL_CTX_free(context) }
        guard let session = unsafe SSL_new(context), let incoming = unsafe BIO_new(BIO_s_mem()),
            let outgoing = unsafe BIO_new(BIO_s_mem())
        else { throw TransportError("TLS cannot be started", source: .ours) }
        unsafe self.session = unsafe session
        unsafe self.incoming = unsafe incoming
        unsafe self.outgoing = unsafe outgoing
        unsafe SSL_set_bio(session, incoming, outgoing)
        unsafe SSL_set_connect_state(session)
        unsafe SSL_set_alpn_protos(session, Self.alpn, UInt32(Self.alpn.count))
        let isAddress = host.contains(":") || host.allSatisfy { $0.isNumber || $0 == "." }
        let isNamed =
            unsafe isAddress
            ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), host) : SSL_set1_host(session, host)
        // Without it a certificate for any name would do.
        guard isNamed == 1 else {
            throw TransportError("no certificate can be checked for '\(host)'", source: .ours)
        }
        if !isAddress {
            // SSL_set_tlsext_host_name, a macro: SSL_CTRL_SET_TLSEXT_HOSTNAME with TLSEXT_NAMETYPE_host_name.
            var name = Array(host.utf8CString)
            _ = unsafe name.withUnsafeMutableBytes { unsafe SSL_ctrl(session, 55, 0, $0.baseAddress) }
        }
    }

    deinit { unsafe SSL_free(session) }

    private static func context(_ settings: TLSClientSettings) throws(TransportError) -> OpaquePointer {
        guard let context = unsafe SSL_CTX_new(TLS_client_method()) else {
            throw TransportError("TLS cannot be started", source: .ours)
        }
        // SSL_CTX_set_min_proto_version, a macro: at least TLS 1.2.
        unsafe SSL_CTX_ctrl(context, 123, 0x0303, nil)
        guard !settings.skipsVerification else { return unsafe context }
        unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
        var isTrusting = true
        if let pem = settings.authorityPEM {
            isTrusting = unsafe trust(pem, in: context)
        } else if let file = settings.authorityFile {
            isTrusting = unsafe SSL_CTX_load_verify_file(context, file) == 1
        } else {
            isTrusting = unsafe SSL_CTX_set_default_verify_paths(context) == 1
        }
        guard isTrusting else {
            unsafe SSL_CTX_free(context)
            let source = settings.authorityPEM == nil ? settings.authorityFile ?? "the system" : "memory"
            throw TransportError("no certificate authority can be read from \(source)", source: .ours)
        }
        return unsafe context
    }

    private static func trust(_ pem: [UInt8], in context: OpaquePointer) -> Bool {
        let input = unsafe BIO_new_mem_buf(pem, Int32(pem.count))
        defer { unsafe BIO_free_all(input) }
        var count = 0
        while let certificate = unsafe PEM_read_bio_X509(input, nil, nil, nil) {
            unsafe X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate)
            unsafe X509_free(certificate)
            count += 1
        }
        ERR_clear_error()
        return count > 0
    }

    /// Takes what came from the network.
    func feed(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress else { return }
        unsafe BIO_write(incoming, base, Int32(bytes.count))
    }

    /// Goes on with the handshake; true once it is done.
    func shakeHands() throws(TransportError) -> Bool {
        guard !isEstablished else { return true }
        ERR_clear_error()
        let result = unsafe SSL_do_handshake(session)
        if result == 1 {
            isEstablished = true
            return true
        }
        if unsafe SSL_get_error(session, result) == SSL_ERROR_WANT_READ { return false }
        throw TransportError("TLS handshake failed: \(reason())", source: .network)
    }

    private func reason() -> String {
        let verdict = unsafe SSL_get_verify_result(session)
        if verdict != 0, let text = unsafe X509_verify_cert_error_string(verdict) {
            return unsafe String(cString: text)
        }
        guard let text = unsafe ERR_reason_error_string(ERR_peek_last_error()) else {
            return "the peer ended it"
        }
        return unsafe String(cString: text)
    }

    /// Decrypts into `buffer`; 0 if nothing more is there yet, -1 if the peer is done or what it sent is no TLS.
    func read(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        // The queue must be empty before a read; to clear an empty one frees all its sixteen places, a sixth of what a small
        // record costs (docs/feed-benchmark.md).
        if ERR_peek_error() != 0 { ERR_clear_error() }
        let count = unsafe SSL_read(session, buffer.baseAddress, Int32(buffer.count))
        if count > 0 { return Int(count) }
        return unsafe SSL_get_error(session, count) == SSL_ERROR_WANT_READ ? 0 : -1
    }

    /// Encrypts; the ciphertext waits in `takeOutput`.
    func write(_ bytes: [UInt8]) {
        guard !bytes.isEmpty else { return }
        ERR_clear_error()
        unsafe SSL_write(session, bytes, Int32(bytes.count))
    }

    /// What is to be sent.
    func takeOutput() -> [UInt8] {
        let count = unsafe BIO_ctrl_pending(outgoing)
        guard count > 0 else { return [] }
        return unsafe [UInt8](unsafeUninitializedCapacity: Int(count)) { buffer, filled in
            filled = max(0, Int(unsafe BIO_read(outgoing, buffer.baseAddress, Int32(count))))
        }
    }
}
