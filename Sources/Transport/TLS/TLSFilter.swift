/// TLS between a plain channel and its handler: the handler sees an open channel only once the handshake is done.
protocol TLSFilter: AnyObject {
    /// What is to be sent first; nothing where the peer begins.
    func start() throws(TransportError) -> [UInt8]
    /// What `bytes` become on the wire.
    func encrypt(_ bytes: [UInt8]) -> [UInt8]
    /// The last bytes of our side.
    func farewell() -> [UInt8]
    /// Takes ciphertext, and returns false if the connection must end.
    ///
    /// `send` gets what must be answered, `opened` is called when the handshake is done, `received` with what was decrypted.
    func receive(
        _ bytes: UnsafeRawBufferPointer, send: ([UInt8]) -> Void, opened: () -> Void,
        received: (UnsafeRawBufferPointer) -> Void
    ) throws(TransportError) -> Bool
}

/// The accepting side, where the peer's first bytes begin the handshake.
// Safe because: used on its loop's thread only.
final class TLSServerFilter: TLSFilter {
    private let session: TLSServerSession
    private var isEstablished = false

    init(_ context: TLSServerContext) throws(TransportError) { session = try TLSServerSession(context) }

    func start() -> [UInt8] { [] }

    func encrypt(_ bytes: [UInt8]) -> [UInt8] {
        guard isEstablished, !bytes.isEmpty else { return [] }
        _ = unsafe bytes.withUnsafeBytes { unsafe session.write($0) }
        return session.takeOutput()
    }

    func farewell() -> [UInt8] {
        guard isEstablished else { return [] }
        session.sayGoodbye()
        return session.takeOutput()
    }

    func receive(
        _ bytes: UnsafeRawBufferPointer, send: ([UInt8]) -> Void, opened: () -> Void,
        received: (UnsafeRawBufferPointer) -> Void
    ) throws(TransportError) -> Bool {
        let (clear, goesOn) = unsafe session.take(bytes)
        send(session.takeOutput())
        if !isEstablished, session.isEstablished {
            isEstablished = true
            opened()
        }
        if !clear.isEmpty { unsafe clear.withUnsafeBytes { unsafe received($0) } }
        return goesOn
    }
}
