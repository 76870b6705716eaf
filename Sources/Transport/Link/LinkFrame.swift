/// The frames inside a link's binary messages: length u32 (of what follows), kind u8, request id u64, payload; little-endian.
///
/// A message holds one or more whole frames, so that many requests leave in one write.
enum LinkFrame {
    /// Kinds below 16 belong to the link itself.
    static let hello: UInt8 = 1
    static let challenge: UInt8 = 2
    static let proof: UInt8 = 3
    static let welcome: UInt8 = 4
    static let refusal: UInt8 = 5
    static let beat: UInt8 = 6
    static let beatAnswer: UInt8 = 7
    static let firstApplicationKind: UInt8 = 16

    static let headerCount = 13
    static let maximumPayload = 8 << 20
    /// A batch is sent when it has grown to this: what the socket takes in one call, so that the peer begins while we go on.
    static let batchCount = 32 << 10

    /// Appends a frame whose payload `body` appends.
    static func append(
        kind: UInt8, id: UInt64, to bytes: inout [UInt8], writing body: (inout [UInt8]) -> Void
    ) {
        let start = bytes.count
        bytes.append(contentsOf: repeatElement(kind, count: headerCount))
        body(&bytes)
        let length = UInt32(bytes.count - start - 4)
        unsafe bytes.withUnsafeMutableBytes { bytes in
            unsafe bytes.storeBytes(of: length.littleEndian, toByteOffset: start, as: UInt32.self)
            unsafe bytes.storeBytes(of: id.littleEndian, toByteOffset: start + 5, as: UInt64.self)
        }
    }

    static func append(kind: UInt8, id: UInt64, to bytes: inout [UInt8], _ payload: [UInt8]) {
        append(kind: kind, id: id, to: &bytes) { $0.append(contentsOf: payload) }
    }

    /// Calls `body` for each frame; false if the message is not made of whole frames.
    static func forEach(
        in message: UnsafeRawBufferPointer, _ body: (UInt8, UInt64, UnsafeRawBufferPointer) -> Bool
    ) -> Bool {
        var start = 0
        while start < message.count {
            guard message.count - start >= headerCount else { return false }
            let length = unsafe Int(
                UInt32(littleEndian: message.loadUnaligned(fromByteOffset: start, as: UInt32.self)))
            guard length >= headerCount - 4, length <= message.count - start - 4 else { return false }
            let kind = unsafe message[start + 4]
            let id = unsafe UInt64(
                littleEndian: message.loadUnaligned(fromByteOffset: start + 5, as: UInt64.self))
            let payload = unsafe UnsafeRawBufferPointer(
                rebasing: message[(start + headerCount)..<(start + 4 + length)])
            guard unsafe body(kind, id, payload) else { return false }
            start += 4 + length
        }
        return true
    }
}
