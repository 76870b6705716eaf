/// A short text that is put together on the stack and appended at once: an array looks for its owner and its room at every
/// single piece.
///
/// Safe because: it exists inside `append` only, whose memory it writes to, and each write is checked against what is left.
@safe package struct TextPiece: ~Copyable {
    /// The most that fits: with what is around it 1 KiB, beyond which such memory comes from the heap.
    package static let room = 960
    /// What sixteen digits may be written over.
    private static let slack = 16

    private var end: UnsafeMutablePointer<UInt8>
    private let limit: UnsafeMutablePointer<UInt8>
    private let digits: UnsafeMutablePointer<UInt8>

    private init(_ start: UnsafeMutablePointer<UInt8>) {
        unsafe end = start
        unsafe limit = start + Self.room
        unsafe digits = limit + Self.slack
        unsafe digits.initialize(repeating: 0, count: DecimalText.digitsRoom)
    }

    /// Appends to `bytes` what `body` puts together, at most `room`.
    package static func append(to bytes: inout [UInt8], _ body: (inout TextPiece) -> Void) {
        let capacity = room + slack + DecimalText.digitsRoom
        unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: capacity) { memory in
            guard let start = memory.baseAddress else { return }
            var piece = unsafe TextPiece(start)
            body(&piece)
            unsafe bytes.append(contentsOf: UnsafeBufferPointer(start: start, count: piece.end - start))
        }
    }

    /// A bounds check before raw memory is written.
    ///
    /// What an exchange or a caller sends cannot fail it: numbers have at most `FixedDecimal.maximumScale` decimals, so that the
    /// text of each fits in `DecimalText.room` bytes, and whoever adds levels bounds how many.
    @inline(__always)
    private func check(_ count: Int) { precondition(unsafe limit - end >= count, "the text is too long") }

    package mutating func add(_ text: StaticString) {
        let count = text.utf8CodeUnitCount
        check(count)
        unsafe end.update(from: text.utf8Start, count: count)
        unsafe end += count
    }

    package mutating func add(number: Int64) {
        check(DecimalText.room)
        if number < 0 {
            unsafe end.pointee = 0x2D
            unsafe end += 1
        }
        unsafe end = write(number.magnitude, scale: 0)
    }

    /// Adds a number as a JSON string, as it was sent.
    package mutating func add(_ number: FixedDecimal) {
        check(DecimalText.room + 3)
        unsafe end.pointee = 0x22
        unsafe end += 1
        unsafe end = write(number.mantissa.magnitude, scale: Int(number.scale))
        unsafe end.pointee = 0x22
        unsafe end += 1
    }

    private func write(_ mantissa: UInt64, scale: Int) -> UnsafeMutablePointer<UInt8> {
        unsafe DecimalText.exact.write(mantissa, scale: scale, at: end, digits: digits)
    }

    /// Adds the levels as `BookSide.appendJSON` appends them, each number as it was sent; few enough for the room.
    package mutating func add(_ selection: LevelSelection, of side: borrowing BookSide) {
        check(BookSide.room(levels: selection.count))
        unsafe end = side.writeJSON(selection, at: end, digits)
    }
}
