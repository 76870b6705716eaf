internal import CWebSockets
internal import Glibc

/// An address and a port in the kernel's form, of either family.
struct SocketAddress {
    private var storage = sockaddr_storage()
    private(set) var size = socklen_t(MemoryLayout<sockaddr_storage>.size)

    /// For the kernel to fill in.
    init() {}

    init(_ address: IPAddress, port: Int) {
        let port = UInt16(truncatingIfNeeded: port).bigEndian
        if address.isIPv4 {
            var place = sockaddr_in()
            place.sin_family = sa_family_t(AF_INET)
            place.sin_port = port
            unsafe withUnsafeMutableBytes(of: &place.sin_addr) {
                unsafe $0.copyBytes(from: address.bytes[12...])
            }
            fill(with: place)
        } else {
            var place = sockaddr_in6()
            place.sin6_family = sa_family_t(AF_INET6)
            place.sin6_port = port
            unsafe withUnsafeMutableBytes(of: &place.sin6_addr) { unsafe $0.copyBytes(from: address.bytes) }
            fill(with: place)
        }
    }

    private mutating func fill<Place>(with place: Place) {
        size = socklen_t(MemoryLayout<Place>.size)
        unsafe withUnsafeMutableBytes(of: &storage) { whole in
            unsafe withUnsafeBytes(of: place) { unsafe whole.copyBytes(from: $0) }
        }
    }

    private func read<Place>(_ type: Place.Type) -> Place {
        unsafe withUnsafeBytes(of: storage) { unsafe $0.load(as: type) }
    }

    private var isIPv6: Bool { storage.ss_family == sa_family_t(AF_INET6) }

    var port: Int {
        Int(UInt16(bigEndian: isIPv6 ? read(sockaddr_in6.self).sin6_port : read(sockaddr_in.self).sin_port))
    }

    /// An IPv4 client of a listener for both families comes as IPv4.
    var address: IPAddress {
        if isIPv6 {
            let place = read(sockaddr_in6.self)
            return IPAddress(bytes: unsafe withUnsafeBytes(of: place.sin6_addr) { unsafe Array($0) })
        }
        let place = read(sockaddr_in.self)
        let four = unsafe withUnsafeBytes(of: place.sin_addr) { unsafe Array($0) }
        return IPAddress(bytes: [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF] + four)
    }

    /// Calls the kernel with this address, which it may change.
    mutating func withKernel<Result>(
        _ body: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Result
    ) -> Result {
        unsafe withUnsafeMutablePointer(to: &storage) { place in
            unsafe place.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                unsafe withUnsafeMutablePointer(to: &size) { unsafe body(generic, $0) }
            }
        }
    }
}

/// A socket that listens on an address of either family.
package enum OpenListener {
    static func address(of host: String) -> IPAddress? {
        IPAddress(host == "localhost" ? "127.0.0.1" : host)
    }

    /// The descriptor, and the port in use.
    ///
    /// `::` takes IPv4, too. Of a failure, errno tells.
    package static func open(host: String, port: Int) -> (descriptor: Int32, port: Int)? {
        guard let address = address(of: host), (0...65_535).contains(port) else {
            errno = EADDRNOTAVAIL
            return nil
        }
        let family = address.isIPv4 ? AF_INET : AF_INET6
        let made = socket(
            family, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard made >= 0 else { return nil }
        var (yes, no): (Int32, Int32) = (1, 0)
        let size = socklen_t(MemoryLayout<Int32>.size)
        unsafe setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &yes, size)
        // Whatever the machine's default is.
        if family == AF_INET6 { unsafe setsockopt(made, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &no, size) }
        var place = SocketAddress(address, port: port)
        let isListening = unsafe place.withKernel { address, size in
            unsafe bind(made, address, size.pointee) == 0 && listen(made, 1_024) == 0
                && getsockname(made, address, size) == 0
        }
        guard isListening else {
            let code = errno
            Glibc.close(made)
            errno = code
            return nil
        }
        return (made, place.port)
    }
}
