import Glibc

/// Which ports can be listened on.
enum Ports {
    /// The wanted port, or any free one for 0; in use is an error that names the flag.
    static func claim(_ port: Int, host: String, flag: String) throws(LocalClusterError) -> Int {
        guard let free = bound(port, host: host) else {
            throw LocalClusterError(
                "port \(port) on \(host) cannot be used (\(Files.reason())); choose another with \(flag), 0 takes any free one"
            )
        }
        return free
    }

    /// The wanted port if it is free and not taken already, else the next one that is.
    static func prefer(_ port: Int, host: String, not taken: Set<Int>) throws(LocalClusterError) -> Int {
        if port > 0 {
            for candidate in port..<max(port, min(port + 100, 65_536)) where !taken.contains(candidate) {
                if bound(candidate, host: host) != nil { return candidate }
            }
        }
        while true {
            let candidate = try claim(0, host: host, flag: "--port")
            if !taken.contains(candidate) { return candidate }
        }
    }

    /// Listens for a moment; the port if that works.
    private static func bound(_ port: Int, host: String) -> Int? {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0, let number = UInt16(exactly: port) else { return nil }
        defer {
            let code = errno
            close(descriptor)
            errno = code
        }
        var yes: Int32 = 1
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = number.bigEndian
        if unsafe inet_pton(AF_INET, host == "localhost" ? "127.0.0.1" : host, &address.sin_addr) != 1 {
            address.sin_addr.s_addr = 0
        }
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
                guard unsafe bind(descriptor, raw, size) == 0, listen(descriptor, 1) == 0 else {
                    return false
                }
                return unsafe getsockname(descriptor, raw, &size) == 0
            }
        }
        return isListening ? Int(UInt16(bigEndian: address.sin_port)) : nil
    }
}
