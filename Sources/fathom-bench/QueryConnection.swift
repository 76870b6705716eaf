import Glibc

/// One question of the load, and when it was to be asked.
struct DueQuestion {
    var target: Int
    /// Nanoseconds of the monotonic clock.
    var due: UInt64
}

/// One keep-alive connection of the load, with one question at a time on it.
final class QueryConnection {
    /// What came of a look at the socket.
    enum Progress {
        case waiting
        /// The whole answer: its status and its body.
        case answered(status: Int, body: Range<Int>)
        /// The connection is of no more use.
        case ended(String)
    }

    let descriptor: Int32
    var question: DueQuestion?
    private(set) var input: [UInt8] = []
    private var isConnected = false
    private var output: [UInt8] = []

    /// Begins to connect to an address of IPv4.
    init?(host: String, port: Int) {
        let made = socket(
            AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard made >= 0 else { return nil }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(port).bigEndian)
        var yes: Int32 = 1
        unsafe setsockopt(
            made, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
        guard unsafe inet_pton(AF_INET, host, &address.sin_addr) == 1 else { return nil }
        let code = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(made, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard code == 0 || errno == EINPROGRESS else {
            close(made)
            return nil
        }
        isConnected = code == 0
        descriptor = made
        input.reserveCapacity(64 << 10)
    }

    deinit { close(descriptor) }

    /// What to wait for at the socket.
    var events: Int16 { Int16(isConnected && output.isEmpty ? POLLIN : POLLIN | POLLOUT) }

    /// Sends a request, or what the socket takes of it.
    func ask(_ new: DueQuestion, _ request: [UInt8]) {
        question = new
        output = request
        input.removeAll(keepingCapacity: true)
        if isConnected { flush() }
    }

    private func flush() {
        let sent = unsafe output.withUnsafeBytes {
            unsafe send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        if sent > 0 { output.removeFirst(sent) }
    }

    /// Does what the socket is ready for.
    func look() -> Progress {
        if !isConnected || !output.isEmpty {
            isConnected = true
            flush()
        }
        var hasEnded = false
        while true {
            var space = InlineArray<16384, UInt8>(repeating: 0)
            var count = 0
            unsafe withUnsafeMutableBytes(of: &space) {
                count = unsafe recv(descriptor, $0.baseAddress, $0.count, 0)
                if count > 0 { unsafe input.append(contentsOf: $0[..<count]) }
            }
            if count == 16_384 { continue }
            hasEnded = count == 0 || (count < 0 && errno != EAGAIN)
            break
        }
        if let whole = answer() { return whole }
        guard hasEnded else { return .waiting }
        return .ended(question == nil ? "closed" : "the connection ended before the answer")
    }

    /// The answer if it is there whole.
    private func answer() -> Progress? {
        guard question != nil, let end = find(Array("\r\n\r\n".utf8), from: 0), input.count > 12 else {
            return nil
        }
        let status = input[9..<12].reduce(0) { $0 * 10 + Int($1) - 48 }
        guard let label = find(Array("ontent-".utf8), from: 0), label < end,
            let length = number(after: Array("ength: ".utf8), before: end)
        else { return .ended("an answer without a length, status \(status)") }
        let start = end + 4
        return input.count >= start + length ? .answered(status: status, body: start..<(start + length)) : nil
    }

    private func number(after label: [UInt8], before end: Int) -> Int? {
        guard let found = find(label, from: 0), found < end else { return nil }
        var value = 0
        var index = found + label.count
        while index < input.count, input[index] >= 48, input[index] <= 57 {
            value = value * 10 + Int(input[index]) - 48
            index += 1
        }
        return value
    }

    /// Where `text` begins in what has come.
    func find(_ text: [UInt8], from start: Int) -> Int? {
        unsafe input.withUnsafeBytes { bytes in
            guard let first = text.first, bytes.count - start >= text.count else { return nil }
            for index in start...(bytes.count - text.count) where unsafe bytes[index] == first {
                let here = unsafe UnsafeRawBufferPointer(rebasing: bytes[index..<(index + text.count)])
                if unsafe here.elementsEqual(text) { return index }
            }
            return nil
        }
    }
}
