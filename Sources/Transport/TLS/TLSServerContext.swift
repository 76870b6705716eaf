internal import COpenSSL

/// The certificate and key with which `TLSServerSession`s answer.
// Safe because: the context is made in `init`, freed in `deinit`, and OpenSSL counts its users with atomics.
@safe package final class TLSServerContext: @unchecked Sendable {
    fileprivate let context: OpaquePointer

    package init(_ settings: TLSServerSettings) throws(TransportError) {
        guard let context = unsafe SSL_CTX_new(TLS_server_method()) else {
            throw TransportError("TLS cannot be started", source: .ours)
        }
        unsafe self.context = unsafe context
        guard unsafe SSL_CTX_use_certificate_chain_file(context, settings.certificateFile) == 1,
            unsafe SSL_CTX_use_PrivateKey_file(context, settings.keyFile, SSL_FILETYPE_PEM) == 1
        else { throw TransportError("no certificate and key in \(settings.certificateFile)", source: .ours) }
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

    /// Takes ciphertext and returns what was decrypted; nil if the peer is done or what it sent is no TLS.
    package func receive(_ bytes: UnsafeRawBufferPointer) -> [UInt8]? {
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
                return unsafe SSL_get_error(session, result) == SSL_ERROR_WANT_READ ? clear : nil
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
}
