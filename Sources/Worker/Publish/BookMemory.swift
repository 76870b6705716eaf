import CPrefetch
import Telemetry

/// Where the objects lie that are passed on the way to a kept book.
///
/// With thousands of books they are in no cache, and each is found through the one before it: asked for by these
/// addresses they come all at once. Nothing is read through them, so they need not be true.
/// Safe because: the addresses are only given to the processor as hints, which may be any.
@safe struct BookMemory: @unchecked Sendable {
    private let book: UnsafeRawPointer
    private let lock: UnsafeRawPointer
    private let state: UnsafeRawPointer

    init(_ kept: KeptBook) {
        unsafe book = UnsafeRawPointer(Unmanaged.passUnretained(kept).toOpaque())
        unsafe lock = kept.state.lockAddress
        unsafe state = UnsafeRawPointer(Unmanaged.passUnretained(kept.state).toOpaque())
    }

    /// Asks for all of it, without waiting.
    @inline(__always)
    func prefetch() {
        unsafe cprefetch_line(book)
        unsafe cprefetch_line(lock)
        unsafe cprefetch_lines(state, Self.stateBytes)
    }

    /// The object's head and the state in it.
    private static var stateBytes: Int { 24 + MemoryLayout<KeptBook.State>.size }
}
