internal import COpenSSL

/// Digests, message authentication and randomness, all from OpenSSL.
package enum Digest {
    /// SHA-256; 32 bytes.
    package static func sha256(_ bytes: [UInt8]) -> [UInt8] {
        unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 32) { output in
            unsafe bytes.withUnsafeBufferPointer {
                _ = unsafe SHA256($0.baseAddress, $0.count, output.baseAddress)
            }
            return unsafe Array(output)
        }
    }

    /// SHA-1, only for the WebSocket handshake, which demands it; 20 bytes.
    static func sha1(_ bytes: [UInt8]) -> [UInt8] {
        unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { output in
            unsafe bytes.withUnsafeBufferPointer {
                _ = unsafe SHA1($0.baseAddress, $0.count, output.baseAddress)
            }
            return unsafe Array(output)
        }
    }

    /// HMAC-SHA-256; 32 bytes.
    package static func hmacSHA256(key: [UInt8], _ bytes: [UInt8]) -> [UInt8] {
        unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 32) { output in
            var count: UInt32 = 32
            unsafe bytes.withUnsafeBufferPointer { data in
                _ = unsafe HMAC(
                    EVP_sha256(), key, Int32(key.count), data.baseAddress, data.count, output.baseAddress,
                    &count)
            }
            return unsafe Array(output)
        }
    }

    /// Bytes that nobody can guess.
    package static func random(_ count: Int) throws(TransportError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        guard unsafe RAND_bytes(&bytes, Int32(count)) == 1 else {
            throw TransportError("OpenSSL gave no random bytes", source: .ours)
        }
        return bytes
    }

    /// Whether two secrets are equal, in a time that does not tell where they differ.
    package static func areEqual(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        guard a.count == b.count else { return false }
        var difference: UInt8 = 0
        for index in a.indices { difference |= a[index] ^ b[index] }
        return difference == 0
    }

    /// Lower-case hexadecimal text.
    package static func hex(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(
            decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    /// The bytes that hexadecimal text names; `nil` if it is anything else.
    package static func bytes(hex text: some StringProtocol) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count.isMultiple(of: 2) else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            let pair = String(decoding: digits[index..<index + 2], as: UTF8.self)
            guard let byte = UInt8(pair, radix: 16), pair.utf8.first != UInt8(ascii: "+") else { return nil }
            bytes.append(byte)
        }
        return bytes
    }
}
