import Glibc

/// File work in the words of the person at the terminal; everything is private to the user.
enum Files {
    static func reason() -> String { unsafe String(cString: strerror(errno)) }

    /// Creates a directory for its owner alone, with its parents, and checks that it can be written.
    static func makeDirectory(_ path: String) throws(LocalClusterError) {
        var current = path.hasPrefix("/") ? "" : "."
        for part in path.split(separator: "/") {
            current += "/\(part)"
            if unsafe mkdir(current, 0o700) != 0, errno != EEXIST {
                throw LocalClusterError("cannot create the directory \(path): \(reason())")
            }
        }
        guard unsafe access(path, R_OK | W_OK | X_OK) == 0 else {
            throw LocalClusterError("cannot write to the directory \(path): \(reason())")
        }
        guard unsafe chmod(path, 0o700) == 0 else {
            throw LocalClusterError("cannot make the directory \(path) private: \(reason())")
        }
    }

    static func read(_ path: String) -> [UInt8]? {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = unsafe Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return count == 0 ? bytes : nil }
            bytes += buffer[..<count]
        }
    }

    /// Replaces a file as a whole: readers see the old content or the new one, never a part.
    static func write(_ bytes: [UInt8], to path: String, mode: mode_t = 0o600) throws(LocalClusterError) {
        let temporary = "\(path).new"
        unsafe unlink(temporary)
        let descriptor = unsafe open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw LocalClusterError("cannot write \(path): \(reason())") }
        let isWritten = writeAll(bytes, to: descriptor) && fsync(descriptor) == 0
        close(descriptor)
        guard isWritten, unsafe rename(temporary, path) == 0 else {
            throw LocalClusterError("cannot write \(path): \(reason())")
        }
    }

    static func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes {
                unsafe Glibc.write(descriptor, $0.baseAddress, $0.count)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    /// Takes a lock that ends with the process; nil if another process holds it.
    static func lock(_ path: String) throws(LocalClusterError) -> Int32? {
        let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw LocalClusterError("cannot open \(path): \(reason())") }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            return nil
        }
        return descriptor
    }

    static func absolute(_ path: String) -> String {
        if path.hasPrefix("/") { return path }
        guard let here = unsafe getcwd(nil, 0) else { return path }
        defer { unsafe free(here) }
        return unsafe String(cString: here) + "/" + (path.hasPrefix("./") ? String(path.dropFirst(2)) : path)
    }
}
