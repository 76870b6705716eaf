import CPrefetch

/// Where the objects lie that an event passes on the way to its book: asked for while the event is still being read.
///
/// As in `BookMemory`, nothing is read through the addresses.
/// Safe because: the addresses are only given to the processor as hints, which may be any.
@safe struct LineMemory {
    private let line: UnsafeRawPointer
    private let duty: UnsafeRawPointer
    private let name: UnsafeRawPointer?
    private let book: BookMemory

    init(_ line: BookLine) {
        let duty = line.duty
        unsafe self.line = Self.address(line)
        unsafe self.duty = Self.address(duty)
        unsafe name = duty.streamBytes.withUnsafeBytes { $0.baseAddress }
        book = BookMemory(duty.book)
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
        book.prefetch()
        unsafe cprefetch_lines(duty + 64, Self.dutyBytes - 64)
    }

    /// As far as an event looks into a duty, by a profile: its last word is `unprovenSince`.
    ///
    /// Too few bytes cost a wait, too many hardly anything.
    private static var dutyBytes: Int { 704 }
}
