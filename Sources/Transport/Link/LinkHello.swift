/// The words of the hello, without sockets: who one is, with a nonce, and the proofs over both sides' words.
enum LinkHello {
    static let version: UInt8 = 1
    static let nonceCount = 32

    /// One side's introduction: version, nonce, role, name, uid, incarnation (each text with a 16-bit length).
    struct Introduction: Equatable {
        var identity: LinkIdentity
        var nonce: [UInt8]

        var bytes: [UInt8] {
            var bytes = [LinkHello.version] + nonce + [identity.role.rawValue]
            for text in [identity.name, identity.uid, identity.incarnation] {
                let utf8 = text.utf8.prefix(1024)
                bytes.append(UInt8(utf8.count & 255))
                bytes.append(UInt8(utf8.count >> 8))
                bytes.append(contentsOf: utf8)
            }
            return bytes
        }

        init(identity: LinkIdentity) throws(TransportError) {
            self.identity = identity
            nonce = try Digest.random(LinkHello.nonceCount)
        }

        /// Reads the other side's introduction; anything after the known fields is left for later versions.
        init(_ bytes: [UInt8]) throws(TransportError) {
            var rest = bytes[...]
            func broken(_ words: String) -> TransportError {
                TransportError("hello: \(words)", source: .theirs, mayRetry: false)
            }
            guard let version = rest.popFirst() else { throw broken("empty") }
            guard version == LinkHello.version else {
                throw broken("expected version \(LinkHello.version), was \(version)")
            }
            guard rest.count > LinkHello.nonceCount else { throw broken("too short") }
            nonce = Array(rest.prefix(LinkHello.nonceCount))
            rest = rest.dropFirst(LinkHello.nonceCount)
            guard let role = rest.popFirst().flatMap(LinkRole.init(rawValue:)) else {
                throw broken("unknown role")
            }
            var texts: [String] = []
            for _ in 0..<3 {
                guard let low = rest.popFirst(), let high = rest.popFirst() else { throw broken("too short") }
                let count = Int(low) | Int(high) << 8
                guard count <= 1024, rest.count >= count else { throw broken("a name is cut") }
                texts.append(String(decoding: rest.prefix(count), as: UTF8.self))
                rest = rest.dropFirst(count)
            }
            identity = LinkIdentity(role: role, name: texts[0], uid: texts[1], incarnation: texts[2])
        }
    }

    /// Which side proves; part of what is authenticated, so that no proof can be sent back to its maker.
    enum Side: String { case client, server }

    static func proof(_ side: Side, key: [UInt8], hello: [UInt8], challenge: [UInt8]) -> [UInt8] {
        var text = Array("fathom-link-1 \(side.rawValue)\n\(hello.count) \(challenge.count)\n".utf8)
        text += hello
        text += challenge
        return Digest.hmacSHA256(key: key, text)
    }

    /// A client's proofs, one for each key that it has.
    static func proofs(_ keys: LinkKeys, hello: [UInt8], challenge: [UInt8]) -> [UInt8] {
        keys.all.flatMap { proof(.client, key: $0, hello: hello, challenge: challenge) }
    }

    /// The key of ours that one of the client's proofs was made with.
    static func match(_ proofs: [UInt8], _ keys: LinkKeys, hello: [UInt8], challenge: [UInt8]) -> [UInt8]? {
        guard proofs.count % 32 == 0, proofs.count <= 128 else { return nil }
        var found: [UInt8]?
        for key in keys.all {
            let expected = proof(.client, key: key, hello: hello, challenge: challenge)
            for start in stride(from: 0, to: proofs.count, by: 32)
            where Digest.areEqual(Array(proofs[start..<(start + 32)]), expected) {
                found = found ?? key
            }
        }
        return found
    }

    /// Whether a server's proof was made with a key of ours.
    static func isWelcome(_ bytes: [UInt8], _ keys: LinkKeys, hello: [UInt8], challenge: [UInt8]) -> Bool {
        keys.all.contains {
            Digest.areEqual(bytes, proof(.server, key: $0, hello: hello, challenge: challenge))
        }
    }
}

extension LinkKeys {
    /// Keys that can be used at all: an empty one proves nothing.
    var all: [[UInt8]] { ([current] + (previous.map { [$0] } ?? [])).filter { !$0.isEmpty } }
}
