import FoundationEssentials
import Glibc

/// The files of one recorded market: `events.jsonl`, and a file for each snapshot.
///
/// Lines wait in a buffer of bounded size; whoever adds to a full one waits for the disk.
final class RecordingFiles {
    private static let bufferBytes = 1 << 18

    let directory: String
    private let descriptor: Int32
    private var buffer: [UInt8] = []
    private(set) var snapshotCount = 0
    private(set) var byteCount = 0

    /// Makes the folder; one that holds a recording already is left alone.
    init(directory: String) throws(RecordingError) {
        self.directory = directory
        do {
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        } catch {
            throw RecordingError("cannot make the folder \(directory): \(error)")
        }
        let path = directory + "/events.jsonl"
        descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw RecordingError(
                errno == EEXIST ? "\(path): a recording is there already" : "\(path): \(Self.reason(errno))")
        }
        buffer.reserveCapacity(Self.bufferBytes + 65_536)
    }

    deinit { close(descriptor) }

    /// Adds one frame that arrived at `time`.
    func add(frame: UnsafeRawBufferPointer, at time: WallTime) throws(RecordingError) {
        begin("depth", at: time)
        buffer.append(contentsOf: ",\"frame\":".utf8)
        let start = buffer.count
        unsafe buffer.append(contentsOf: frame)
        // A line feed in a frame is space between two tokens; in a file of lines it would be the end of one.
        for index in start..<buffer.count where buffer[index] == 0x0A { buffer[index] = 0x20 }
        try endLine()
    }

    /// Keeps the body of a snapshot that arrived at `time` in a file of its own.
    func add(snapshot: [UInt8], at time: WallTime) throws(RecordingError) {
        let name = snapshotCount == 0 ? "snapshot.json" : "snapshot-\(snapshotCount + 1).json"
        let path = "\(directory)/\(name)"
        do {
            try Data(snapshot).write(to: URL(filePath: path))
        } catch {
            throw RecordingError("\(path): \(error)")
        }
        snapshotCount += 1
        begin("snapshot", at: time)
        buffer.append(contentsOf: ",\"file\":\"\(name)\"".utf8)
        try endLine()
    }

    private func begin(_ kind: String, at time: WallTime) {
        buffer.append(contentsOf: "{\"t\":\"\(time)\",\"kind\":\"\(kind)\"".utf8)
    }

    private func endLine() throws(RecordingError) {
        buffer.append(0x7D)
        buffer.append(0x0A)
        if buffer.count >= Self.bufferBytes { try flush() }
    }

    /// Hands everything to the system.
    func flush() throws(RecordingError) {
        var written = 0
        while written < buffer.count {
            let count = unsafe buffer.withUnsafeBytes {
                unsafe write(descriptor, $0.baseAddress?.advanced(by: written), $0.count - written)
            }
            guard count > 0 || errno == EINTR else {
                throw RecordingError("\(directory)/events.jsonl: \(Self.reason(errno))")
            }
            written += max(0, count)
        }
        byteCount += written
        buffer.removeAll(keepingCapacity: true)
    }

    private static func reason(_ code: Int32) -> String { unsafe String(cString: strerror(code)) }
}

/// A moment of the calendar, written as recordings have it: seconds with nine decimals.
struct WallTime: Sendable, CustomStringConvertible {
    private let seconds: Int
    private let nanoseconds: Int

    static var now: WallTime {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return WallTime(seconds: time.tv_sec, nanoseconds: time.tv_nsec)
    }

    var description: String {
        let decimals = String(nanoseconds)
        return "\(seconds)." + String(repeating: "0", count: max(0, 9 - decimals.count)) + decimals
    }
}
