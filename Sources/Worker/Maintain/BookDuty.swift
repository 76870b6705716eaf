/// What a loop remembers of one of its books besides the book.
final class BookDuty {
    let book: KeptBook
    let venue: Venue
    let streamBytes: [UInt8]
    var depth: Int
    /// The connections that bring its stream, or are about to.
    var lines: [BookLine] = []
    /// When any of its lines brought something last.
    var lastEvent: Duration = .zero
    /// The loop was away, and no connection has proved yet that it has brought everything since.
    var isStalled = false
    var isProbing = false
    var nextProbe: Duration = .zero
    /// Since when nobody could say whether its silent stream lives: a probe failed, or waits for its turn.
    var unprovenSince: Duration?
    var didProbeFail = false
    /// The id of a book that is withdrawn because its stream's silence could not be explained.
    var doubtedID: Int64?
    /// A probe saw this id; if the stream does not bring it in time, it is dead.
    var awaited: (id: Int64, until: Duration)?
    /// How many levels the last snapshot gave on its shorter side that was cut.
    var lastReplyLevels: Int?
    var nextRefresh: Duration = .zero
    var nextRevival: Duration?
    var lastReport: KeptBook.Report?

    init(book: KeptBook, depth: Int, venue: Venue) {
        self.book = book
        self.venue = venue
        self.depth = depth
        streamBytes = Array(book.stream.utf8)
    }

    /// Whether its stream is acknowledged on a connection in use.
    var isOpen: Bool { lines.contains(where: \.isOpen) }
}

/// One book's stream on one connection.
final class BookLine {
    let duty: BookDuty
    let feed: Feed
    /// Whether the stream is acknowledged on the connection in use.
    var isOpen = false
    var openedAt: Duration = .zero
    /// When it brought an event last, or was acknowledged.
    var lastEvent: Duration = .zero
    /// With which id its first event ended.
    var firstID: Int64?
    /// Since when other lines have brought events and this one nothing.
    var missingSince: Duration?
    /// How often it was asked for anew because of that.
    var renewals = 0

    init(duty: BookDuty, feed: Feed) {
        self.duty = duty
        self.feed = feed
    }
}
