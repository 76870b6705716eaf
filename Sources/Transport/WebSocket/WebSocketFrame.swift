/// The framing of RFC 6455, without sockets.
enum WebSocketFrame {
    static let continuation: UInt8 = 0
    static let text: UInt8 = 1
    static let binary: UInt8 = 2
    static let close: UInt8 = 8
    static let ping: UInt8 = 9
    static let pong: UInt8 = 10

    /// Appends the header of a whole, unmasked frame.
    static func appendHeader(opcode: UInt8, count: Int, isMasked: Bool = false, to bytes: inout [UInt8]) {
        let mask: UInt8 = isMasked ? 0x80 : 0
        bytes.append(0x80 | opcode)
        switch count {
        case 0..<126: bytes.append(mask | UInt8(count))
        case 126..<65_536:
            bytes.append(mask | 126)
            bytes.append(UInt8(count >> 8))
            bytes.append(UInt8(count & 255))
        default:
            bytes.append(mask | 127)
            for shift in stride(from: 56, through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: count >> shift))
            }
        }
    }

    /// A whole masked frame, as clients must send.
    ///
    /// The key may be guessable: it only protects old proxies.
    static func masked(opcode: UInt8, _ payload: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(payload.count + 14)
        appendHeader(opcode: opcode, count: payload.count, isMasked: true, to: &bytes)
        let key = UInt32.random(in: .min ... .max)
        for shift in stride(from: UInt32(24), through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: key >> shift))
        }
        let start = bytes.count
        bytes.append(contentsOf: payload)
        mask(&bytes, from: start, key: key)
        return bytes
    }

    /// The longest header.
    static let room = 14

    /// Makes what follows the first `room` bytes a whole frame, its header put right before it; returns where that begins.
    static func frame(opcode: UInt8, isMasked: Bool, inPlace bytes: inout [UInt8]) -> Int {
        var header: [UInt8] = []
        header.reserveCapacity(room)
        appendHeader(opcode: opcode, count: bytes.count - room, isMasked: isMasked, to: &header)
        if isMasked {
            let key = UInt32.random(in: .min ... .max)
            for shift in stride(from: UInt32(24), through: 0, by: -8) {
                header.append(UInt8(truncatingIfNeeded: key >> shift))
            }
            mask(&bytes, from: room, key: key)
        }
        let start = room - header.count
        for (index, byte) in header.enumerated() { bytes[start + index] = byte }
        return start
    }

    /// Masks or unmasks the bytes from `start` on, eight at a time.
    static func mask(_ bytes: inout [UInt8], from start: Int, key: UInt32) {
        unsafe bytes.withUnsafeMutableBytes { bytes in
            let word = UInt64(key.bigEndian) << 32 | UInt64(key.bigEndian)
            var index = start
            while index + 8 <= bytes.count {
                let clear = unsafe bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self) ^ word
                unsafe bytes.storeBytes(of: clear, toByteOffset: index, as: UInt64.self)
                index += 8
            }
            while index < bytes.count {
                unsafe bytes[index] ^= UInt8(
                    truncatingIfNeeded: key >> (24 - 8 * UInt32((index - start) & 3)))
                index += 1
            }
        }
    }

    /// What a frame's first bytes say.
    struct Header {
        var isFinal: Bool
        var opcode: UInt8
        var isMasked: Bool
        var key: UInt32
        var headerCount: Int
        var payloadCount: Int
    }

    enum HeaderResult {
        case whole(Header)
        case needsMore
        case broken(String)
    }

    /// Reads a header at the start of `bytes`.
    static func header(_ bytes: UnsafeRawBufferPointer) -> HeaderResult {
        guard bytes.count >= 2 else { return .needsMore }
        let first = unsafe bytes[0]
        let second = unsafe bytes[1]
        guard first & 0x70 == 0 else { return .broken("reserved bits are set") }
        let isMasked = second & 0x80 != 0
        let short = Int(second & 0x7F)
        let lengthBytes = short == 126 ? 2 : short == 127 ? 8 : 0
        let headerCount = 2 + lengthBytes + (isMasked ? 4 : 0)
        guard bytes.count >= headerCount else { return .needsMore }
        var length = lengthBytes == 0 ? UInt64(short) : 0
        for index in 0..<lengthBytes { length = unsafe length << 8 | UInt64(bytes[2 + index]) }
        guard length <= UInt64(Int32.max) else { return .broken("a frame of \(length) bytes") }
        var key: UInt32 = 0
        if isMasked { for index in 0..<4 { key = unsafe key << 8 | UInt32(bytes[2 + lengthBytes + index]) } }
        let opcode = first & 0x0F
        if opcode >= 8 && (short > 125 || first & 0x80 == 0) { return .broken("a control frame in pieces") }
        return .whole(
            Header(
                isFinal: first & 0x80 != 0, opcode: opcode, isMasked: isMasked, key: key,
                headerCount: headerCount,
                payloadCount: Int(length)))
    }
}
