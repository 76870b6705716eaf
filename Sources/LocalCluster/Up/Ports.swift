import Glibc
import Transport

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
        guard let (descriptor, free) = OpenListener.open(host: host, port: port) else { return nil }
        close(descriptor)
        return free
    }
}
