internal import COpenSSL
internal import Glibc

/// The certificate and key with which `TLSServerSession`s answer.
// Safe because: the context is made in `init`, freed in `deinit`, and OpenSSL counts its users with atomics.
@safe package final class TLSServerContext: @unchecked Sendable {
    fileprivate let context: OpaquePointer
    /// Until when the certificate is valid, in seconds since 1970.
    package let expiry: Int

    /// - Throws: where the files hold no certificate and the key of it.
    package init(_ settings: TLSServerSettings) throws(TransportError) {
        ERR_clear_error()
        guard let context = unsafe SSL_CTX_new(TLS_server_method()) else {
            throw TransportError("TLS cannot be started", source: .ours)
        }
        unsafe self.context = unsafe context
        // SSL_CTX_set_min_proto_version, a macro: at least TLS 1.2. Renegotiation would let a client keep us computing.
        unsafe SSL_CTX_ctrl(context, 123, 0x0303, nil)
        unsafe SSL_CTX_set_options(context, copenssl_no_renegotiation)
        guard unsafe SSL_CTX_use_certificate_chain_file(context, settings.certificateFile) == 1 else {
            expiry = 0
            throw Self.failure("no certificate in \(settings.certificateFile)")
        }
        guard unsafe SSL_CTX_use_PrivateKey_file(context, settings.keyFile, SSL_FILETYPE_PEM) == 1,
            unsafe SSL_CTX_check_private_key(context) == 1
        else {
            expiry = 0
            throw Self.failure("no key of that certificate in \(settings.keyFile)")
        }
        expiry = unsafe Self.expiry(of: context)
    }

    private static func failure(_ words: String) -> TransportError {
        guard let reason = unsafe ERR_reason_error_string(ERR_peek_last_error()) else {
            return TransportError(words, source: .ours)
        }
        return TransportError("\(words): \(unsafe String(cString: reason))", source: .ours)
    }

    private static func expiry(of context: OpaquePointer) -> Int {
        var time = unsafe tm()
        guard let certificate = unsafe SSL_CTX_get0_certificate(context),
            unsafe ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &time) == 1
        else { return 0 }
        return unsafe timegm(&time)
    }

    deinit { unsafe SSL_CTX_free(context) }
}

/// TLS of one accepted connection over memory, for a sender that decides itself where records end.
///
/// Not thread-safe: its owner holds a lock.
// Safe because: the pointers are made in `init`, freed in `deinit`, and used by one thread at a time, as said above.
@safe package final class TLSServerSession: @unchecked Sendable {
    private let session: OpaquePointer
    private let incoming: OpaquePointer
    private let outgoing: OpaquePointer

    package init(_ context: TLSServerContext) throws(TransportError) {
        guard let session = unsafe SSL_new(context.context), let incoming = unsafe BIO_new(BIO_s_mem()),
            let outgoing = unsafe BIO_new(BIO_s_mem())
        else { throw TransportError("TLS cannot be started", source: .ours) }
        unsafe self.session = unsafe session
        unsafe self.incoming = unsafe incoming
        unsafe self.outgoing = unsafe outgoing
        unsafe SSL_set_bio(session, incoming, outgoing)
        unsafe SSL_set_accept_state(session)
    }

    deinit { unsafe SSL_free(session) }

    var isEstablished: Bool { unsafe SSL_is_init_finished(session) == 1 }

    /// Takes ciphertext and returns what was decrypted; nil if the peer is done or what it sent is no TLS.
    package func receive(_ bytes: UnsafeRawBufferPointer) -> [UInt8]? {
        let (clear, goesOn) = unsafe take(bytes)
        return goesOn ? clear : nil
    }

    /// Takes ciphertext: what was decrypted, and whether more may come.
    func take(_ bytes: UnsafeRawBufferPointer) -> (clear: [UInt8], goesOn: Bool) {
        if let base = bytes.baseAddress { unsafe BIO_write(incoming, base, Int32(bytes.count)) }
        ERR_clear_error()
        var clear: [UInt8] = []
        while true {
            var result: Int32 = 0
            let piece = unsafe [UInt8](unsafeUninitializedCapacity: 16_384) { buffer, filled in
                result = unsafe SSL_read(session, buffer.baseAddress, 16_384)
                filled = max(0, Int(result))
            }
            guard result > 0 else {
                return (clear, unsafe SSL_get_error(session, result) == SSL_ERROR_WANT_READ)
            }
            clear += piece
        }
    }

    /// Encrypts, in records of their own; false if that cannot be.
    package func write(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let base = bytes.baseAddress else { return true }
        ERR_clear_error()
        return unsafe SSL_write(session, base, Int32(bytes.count)) == Int32(bytes.count)
    }

    /// Moves ciphertext that is to be sent into `buffer`; returns how much, 0 for none.
    package func takeOutput(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        max(0, Int(unsafe BIO_read(outgoing, buffer.baseAddress, Int32(buffer.count))))
    }

    /// All ciphertext that is to be sent.
    func takeOutput() -> [UInt8] {
        let count = unsafe BIO_ctrl_pending(outgoing)
        guard count > 0 else { return [] }
        return unsafe [UInt8](unsafeUninitializedCapacity: Int(count)) { buffer, filled in
            filled = max(0, Int(unsafe BIO_read(outgoing, buffer.baseAddress, Int32(count))))
        }
    }

    /// Tells the peer that nothing more comes.
    func sayGoodbye() {
        ERR_clear_error()
        unsafe SSL_shutdown(session)
    }
}
