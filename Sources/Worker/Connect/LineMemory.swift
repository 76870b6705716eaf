import CPrefetch
import Telemetry

/// Where the objects lie that an event passes on the way to its book.
///
/// With thousands of books they are in no cache, and each is found through the one before it: asked for by these
/// addresses they come all at once, while the event is still being read. Nothing is read through them, so they need
/// not be true.
/// Safe because: the addresses are only given to the processor as hints, which may be any.
@safe struct LineMemory {
    private let line: UnsafeRawPointer
    private let duty: UnsafeRawPointer
    private let name: UnsafeRawPointer?
    private let book: UnsafeRawPointer
    private let lock: UnsafeRawPointer
    private let state: UnsafeRawPointer

    init(_ line: BookLine) {
        let duty = line.duty
        unsafe self.line = Self.address(line)
        unsafe self.duty = Self.address(duty)
        unsafe name = duty.streamBytes.withUnsafeBytes { $0.baseAddress }
        unsafe book = Self.address(duty.book)
        unsafe lock = duty.book.state.lockAddress
        unsafe state = Self.address(duty.book.state)
    }

    private static func address(_ object: AnyObject) -> UnsafeRawPointer {
        unsafe UnsafeRawPointer(Unmanaged.passUnretained(object).toOpaque())
    }

    /// Asks for all of it, without waiting.
    @inline(__always)
    func prefetch() {
        unsafe cprefetch_line(line)
        unsafe cprefetch_line(duty)
        if let name = unsafe name { unsafe cprefetch_line(name) }
        unsafe cprefetch_line(book)
        unsafe cprefetch_line(lock)
        var offset = 0
        while offset < Self.stateBytes {
            unsafe cprefetch_line(state + offset)
            offset &+= 64
        }
        offset = 64
        while offset < Self.dutyBytes {
            unsafe cprefetch_line(duty + offset)
            offset &+= 64
        }
    }

    /// The object's head and the state in it.
    private static var stateBytes: Int { 24 + MemoryLayout<KeptBook.State>.size }
    /// As far as an event looks into a duty, by a profile: its last word is `unprovenSince`.
    ///
    /// Too few bytes cost a wait, too many hardly anything.
    private static var dutyBytes: Int { 704 }
}
