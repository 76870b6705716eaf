package import Books

/// What a frame of a stream said.
package enum WireMessage: Sendable, Equatable {
    /// A change of a book; `stream` and `symbol` are where their names lie in the frame (empty if not sent).
    case depth(stream: Range<Int>, symbol: Range<Int>)
    /// The answer to a message that was sent.
    case reply(ControlReply)
    /// The server goes down: a replacement must be opened now.
    case serverShutdown
    /// A message of a kind that is not read.
    case other
}

/// The answer to a SUBSCRIBE or UNSUBSCRIBE; a good one does not prove that the stream exists.
package struct ControlReply: Sendable, Equatable {
    package var id: Int64?
    /// The code of a refusal; nil if the request was taken.
    package var errorCode: Int64?
    package var message: String?
}

/// Reads frames of `/stream` and `/ws` in place, into an event that is used again for every frame.
///
/// Fields may come in any order and unknown ones are passed over; nothing is allocated once the event's level
/// lists have grown to their size.
package struct DepthEventParser: Sendable {
    package init() {}

    /// Reads one frame; `event` is meaningful only after `.depth`.
    package func parse(_ frame: RawSpan, into event: inout DepthEvent) throws(WireError) -> WireMessage {
        event.reset()
        return try unsafe frame.withUnsafeBytes { bytes throws(WireError) -> WireMessage in
            var reader = unsafe FrameReader(cursor: JSONCursor(bytes))
            return try unsafe reader.read(into: &event)
        }
    }

    /// Reads one frame; `event` is meaningful only after `.depth`.
    package func parse(_ frame: [UInt8], into event: inout DepthEvent) throws(WireError) -> WireMessage {
        try unsafe parse(frame.span.bytes, into: &event)
    }

    /// Where the stream's name lies in a frame that `parse` refused; nil if what is wrong comes before it.
    package func streamName(of frame: RawSpan) -> Range<Int>? {
        unsafe frame.withUnsafeBytes { bytes in
            var reader = unsafe FrameReader(cursor: JSONCursor(bytes))
            return try? unsafe reader.findStream()
        }
    }
}

/// One pass over one frame.
@unsafe private struct FrameReader {
    enum Kind { case none, depth, shutdown, other }

    var cursor: JSONCursor
    var kind = Kind.none
    var stream = 0..<0
    var symbol = 0..<0
    var hasFirst = false
    var hasLast = false
    var hasBids = false
    var hasAsks = false
    var isBroken = false
    var isReply = false
    var reply = ControlReply()
    var form = LevelForm()

    init(cursor: JSONCursor) { unsafe self.cursor = unsafe cursor }

    mutating func read(into event: inout DepthEvent) throws(WireError) -> WireMessage {
        if unsafe cursor.peek() == 0x5B {
            try unsafe cursor.skipValue()
            return .other
        }
        try unsafe readObject(into: &event, isWrapper: true)
        guard unsafe cursor.isAtEnd else { throw unsafe cursor.failure }
        switch unsafe kind {
        case .depth: return try unsafe depthMessage(event)
        case .shutdown: return .serverShutdown
        case .other: return .other
        case .none: return unsafe isReply ? .reply(reply) : .other
        }
    }

    private func depthMessage(_ event: borrowing DepthEvent) throws(WireError) -> WireMessage {
        guard unsafe hasFirst else { throw .missingField("U") }
        guard unsafe hasLast else { throw .missingField("u") }
        guard unsafe !isBroken else { throw .badField("b, a, pu or E") }
        guard unsafe hasBids else { throw .missingField("b") }
        guard unsafe hasAsks else { throw .missingField("a") }
        guard event.first >= 0, event.first <= event.last else { throw .badField("u") }
        return unsafe .depth(stream: stream, symbol: symbol)
    }

    private mutating func readObject(into event: inout DepthEvent, isWrapper: Bool) throws(WireError) {
        try unsafe cursor.expect(0x7B)
        var isFirst = true
        while try unsafe cursor.nextField(&isFirst) {
            if let letter = unsafe cursor.shortKey() {
                try unsafe readShort(letter, into: &event)
                continue
            }
            let key = try unsafe cursor.key()
            switch unsafe key.count {
            case 1: try unsafe readShort(key.start.pointee, into: &event)
            case 2: try unsafe readPrevious(key, into: &event)
            case 4 where isWrapper && (unsafe key.equals("data")) && (unsafe cursor.peek() == 0x7B):
                try unsafe readObject(into: &event, isWrapper: false)
            case 6 where unsafe isWrapper && key.equals("stream"): unsafe stream = try unsafe range()
            default:
                if isWrapper {
                    try unsafe readControl(key, isOutermost: true)
                } else {
                    try unsafe cursor.skipValue()
                }
            }
        }
    }

    mutating func findStream() throws(WireError) -> Range<Int>? {
        try unsafe cursor.expect(0x7B)
        var isFirst = true
        while try unsafe cursor.nextField(&isFirst) {
            if try unsafe cursor.key().equals("stream") { return try unsafe range() }
            try unsafe cursor.skipValue()
        }
        return nil
    }

    private mutating func range() throws(WireError) -> Range<Int> {
        guard unsafe cursor.peek() == 0x22 else {
            try unsafe cursor.skipValue()
            return 0..<0
        }
        let text = try unsafe cursor.text()
        let offset = unsafe text.start - cursor.start
        return unsafe offset..<offset + text.count
    }

    private mutating func readShort(_ key: UInt8, into event: inout DepthEvent) throws(WireError) {
        switch key {
        case 0x62:
            event.bids.removeAll(keepingCapacity: true)
            unsafe hasBids = try unsafe readLevels(&event.bids)
        case 0x61:
            event.asks.removeAll(keepingCapacity: true)
            unsafe hasAsks = try unsafe readLevels(&event.asks)
        case 0x55:
            let value = try unsafe number()
            unsafe hasFirst = value != nil
            event.first = value ?? 0
        case 0x75:
            let value = try unsafe number()
            unsafe hasLast = value != nil
            event.last = value ?? 0
        case 0x45:
            let value = try unsafe number() ?? -1
            let isTime = ExchangeClock.canBeTime(value)
            if !isTime { unsafe isBroken = true }
            event.eventTime = isTime ? value : 0
        case 0x73: unsafe symbol = try unsafe range()
        case 0x65: try unsafe readKind()
        default: try unsafe cursor.skipValue()
        }
    }

    private mutating func readKind() throws(WireError) {
        guard unsafe cursor.peek() == 0x22 else {
            unsafe kind = .other
            return try unsafe cursor.skipValue()
        }
        let text = try unsafe cursor.text()
        if unsafe text.equals("depthUpdate") {
            unsafe kind = .depth
        } else {
            unsafe kind = unsafe text.equals("serverShutdown") ? .shutdown : .other
        }
    }

    /// Other kinds of events have single numbers under the keys of the lists: those are passed over.
    private mutating func readLevels(_ levels: inout [PriceLevel]) throws(WireError) -> Bool {
        guard unsafe cursor.peek() == 0x5B else {
            try unsafe cursor.skipValue()
            return false
        }
        let before = unsafe cursor
        if unsafe cursor.levels(into: &levels, form: &form) { return true }
        unsafe cursor = unsafe before
        unsafe isBroken = true
        try unsafe cursor.skipValue()
        return true
    }

    private mutating func number() throws(WireError) -> Int64? {
        _ = unsafe cursor.peek()
        if let value = unsafe cursor.integer() { return value }
        try unsafe cursor.skipValue()
        return nil
    }

    private mutating func readPrevious(_ key: JSONCursor.Text, into event: inout DepthEvent) throws(WireError)
    {
        if unsafe key.equals("pu") {
            event.sentPrevious = try unsafe number()
            if event.sentPrevious.map({ $0 < 0 }) ?? true { unsafe isBroken = true }
        } else if unsafe key.equals("id") {
            unsafe isReply = true
            unsafe reply.id = try unsafe number()
        } else {
            try unsafe cursor.skipValue()
        }
    }

    /// An error object is looked into once: one inside another would be a recursion as deep as a peer likes.
    private mutating func readControl(_ key: JSONCursor.Text, isOutermost: Bool) throws(WireError) {
        if unsafe key.equals("result") {
            unsafe isReply = true
        } else if unsafe key.equals("code") {
            unsafe isReply = true
            unsafe reply.errorCode = try unsafe number() ?? -1
            return
        } else if unsafe key.equals("msg") && cursor.peek() == 0x22 {
            unsafe reply.message = try unsafe cursor.text().string
            return
        } else if unsafe isOutermost && key.equals("error") && cursor.peek() == 0x7B {
            unsafe isReply = true
            unsafe cursor.position += 1
            var isFirst = true
            while try unsafe cursor.nextField(&isFirst) {
                try unsafe readControl(cursor.key(), isOutermost: false)
            }
            return
        }
        try unsafe cursor.skipValue()
    }
}
