import FoundationEssentials

/// The HTTP part of RFC 6455.
package enum WebSocketHandshake {
    /// The whole answer of a server to a client's key.
    package static func answer(to key: String) -> [UInt8] {
        Array(
            """
            HTTP/1.1 101 Switching Protocols\r
            Upgrade: websocket\r
            Connection: Upgrade\r
            Sec-WebSocket-Accept: \(accept(key))\r
            \r

            """.utf8)
    }

    static func accept(_ key: String) -> String {
        Data(Digest.sha1(Array("\(key)258EAFA5-E914-47DA-95CA-C5AB0DC85B11".utf8))).base64EncodedString()
    }

    static func newKey() throws(TransportError) -> String {
        Data(try Digest.random(16)).base64EncodedString()
    }

    static func request(host: String, target: String, key: String, headers: [HTTPHeader]) -> [UInt8] {
        var text = "GET \(target) HTTP/1.1\r\nHost: \(host)\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        text += "Sec-WebSocket-Key: \(key)\r\nSec-WebSocket-Version: 13\r\n"
        for header in headers
        where !"\(header.name)\(header.value)".utf8.contains(where: { $0 == 13 || $0 == 10 }) {
            text += "\(header.name): \(header.value)\r\n"
        }
        return Array((text + "\r\n").utf8)
    }

    /// Reads a server's answer head; `nil`: accepted, otherwise what is wrong with it.
    static func refusal(head: [UInt8], key: String) -> String? {
        let lines = String(decoding: head, as: UTF8.self).split(whereSeparator: \.isNewline)
        guard let first = lines.first, first.hasPrefix("HTTP/1.1 101") else {
            return
                "the server answered '\(lines.first.map { String($0.prefix(80)) } ?? "")' to the WebSocket request"
        }
        let accepted = lines.dropFirst().contains { line in
            let parts = line.split(separator: ":", maxSplits: 1)
            return parts.count == 2 && parts[0].lowercased() == "sec-websocket-accept"
                && parts[1].drop { $0 == " " } == accept(key)
        }
        return accepted ? nil : "the server's Sec-WebSocket-Accept is wrong"
    }
}
