internal import CWebSockets
import Telemetry

/// What libwebsockets can tell about one connection; each runs on the connection's loop.
protocol LoopConnection: AnyObject {
    /// Returns 0 to go on, -1 to close.
    func receive(_ reason: lws_callback_reasons, _ bytes: UnsafeRawBufferPointer) -> Int32
    /// libwebsockets has forgotten the connection; nothing comes after this.
    func destroyed()
}

/// A box, because an opaque pointer can name a class but not a protocol.
final class ConnectionBox {
    let connection: any LoopConnection
    /// libwebsockets has given its reference back.
    fileprivate(set) var isForgotten = false
    init(_ connection: any LoopConnection) { self.connection = connection }
}

/// The protocol table that every context shares; libwebsockets keeps its address.
// Safe because: written once, before any context exists, and never freed.
@safe final class LoopProtocols: @unchecked Sendable {
    static let shared = LoopProtocols()
    let pointer: UnsafeMutablePointer<lws_protocols>
    /// The name lives as long as the table.
    static let name = ConstantCString("fathom")

    private init() {
        unsafe pointer = .allocate(capacity: 2)
        unsafe pointer.initialize(repeating: lws_protocols(), count: 2)
        unsafe pointer[0].name = UnsafePointer(Self.name.pointer)
        unsafe pointer[0].callback = dispatch
        unsafe pointer[0].rx_buffer_size = 65_536
    }
}

/// Characters for libwebsockets, which keeps the addresses of names and files: never freed, so made once for each text.
// Safe because: the characters are written once, here, and never freed.
@safe struct ConstantCString: @unchecked Sendable {
    let pointer: UnsafeMutablePointer<CChar>

    private static let made = Guarded<[String: ConstantCString]>([:])

    init(_ text: String) {
        self = Self.made.withLock { made in
            let kept = made[text] ?? ConstantCString(copying: text)
            made[text] = kept
            return kept
        }
    }

    private init(copying text: String) {
        let bytes = Array(text.utf8CString)
        unsafe pointer = .allocate(capacity: bytes.count)
        for (index, byte) in bytes.enumerated() { unsafe pointer[index] = byte }
    }

    var constant: UnsafePointer<CChar> { unsafe UnsafePointer(pointer) }
}

/// Every event of every connection: finds the Swift owner and hands it over.
private func dispatch(
    _ wsi: OpaquePointer?, _ reason: lws_callback_reasons, _ user: UnsafeMutableRawPointer?,
    _ input: UnsafeMutableRawPointer?, _ count: Int
) -> Int32 {
    guard let wsi = unsafe wsi, let raw = unsafe lws_get_opaque_user_data(wsi) else { return 0 }
    let box = unsafe Unmanaged<ConnectionBox>.fromOpaque(raw)
    if reason == LWS_CALLBACK_WSI_DESTROY {
        unsafe lws_set_opaque_user_data(wsi, nil)
        let last = unsafe box.takeRetainedValue()
        last.isForgotten = true
        last.connection.destroyed()
        return 0
    }
    let bytes = unsafe UnsafeRawBufferPointer(start: input, count: input == nil ? 0 : count)
    return unsafe box.takeUnretainedValue().connection.receive(reason, bytes)
}
