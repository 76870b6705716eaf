/// The connecting side of `TLSFilter`.
// Safe because: used on its loop's thread only.
@safe final class TLSClientFilter: TLSFilter {
    private let session: TLSClientSession
    private let scratch: UnsafeMutableRawBufferPointer

    init(host: String, settings: TLSClientSettings) throws(TransportError) {
        session = try TLSClientSession(host: host, settings: settings)
        // Last: when `init` throws, `deinit` does not run.
        unsafe scratch = .allocate(byteCount: 65_536, alignment: 16)
    }

    deinit { unsafe scratch.deallocate() }

    var isEstablished: Bool { session.isEstablished }

    /// The first bytes of the handshake.
    func start() throws(TransportError) -> [UInt8] {
        _ = try session.shakeHands()
        return session.takeOutput()
    }

    func encrypt(_ bytes: [UInt8]) -> [UInt8] {
        session.write(bytes)
        return session.takeOutput()
    }

    func farewell() -> [UInt8] { [] }

    func receive(
        _ bytes: UnsafeRawBufferPointer, send: ([UInt8]) -> Void, opened: () -> Void,
        received: (UnsafeRawBufferPointer) -> Void
    ) throws(TransportError) -> Bool {
        unsafe session.feed(bytes)
        if !session.isEstablished {
            let isDone = try session.shakeHands()
            send(session.takeOutput())
            guard isDone else { return true }
            opened()
        }
        while true {
            var filled = 0
            var last = 1
            while unsafe filled < scratch.count, last > 0 {
                last = unsafe session.read(into: UnsafeMutableRawBufferPointer(rebasing: scratch[filled...]))
                filled += max(0, last)
            }
            if filled > 0 { unsafe received(UnsafeRawBufferPointer(rebasing: scratch[..<filled])) }
            if last <= 0 {
                send(session.takeOutput())
                return last == 0
            }
        }
    }
}
