import Books
import CPrefetch
import K8sClient

/// What a loop remembers of one of its books besides the book.
final class BookDuty {
    let book: KeptBook
    let venue: Venue
    let streamBytes: [UInt8]
    /// When its contract ends; nil: never.
    var contractEnd: Timestamp?
    /// Its contract has ended, and the book has failed for good.
    var hasEnded = false
    /// When it wants another snapshot, and how deep a one.
    var policy: DepthPolicy
    /// How the depths that are asked for stood when last looked at.
    var standings: [Int: DepthPolicy.Standing] = [:]
    /// The copy that was ordered to stand beside the book; nil: none was.
    var freshOrder: FreshOrder?
    /// Counts such orders.
    var freshOrders = 0
    /// When a copy last met the book.
    var lastCompared: Duration = .zero
    /// When an audit was ordered last, whatever came of it.
    var lastAudited: Duration = .zero
    var lastAudit: AuditRecord?
    /// Who waits for the next comparison.
    var auditWaiters: [AuditWaiter] = []
    /// The connections that bring its stream, or are about to.
    var lines: [BookLine] = []
    /// The newest id that any of its connections has brought since its stream began; 0: none, or ids have begun anew.
    var newestID: Int64 = 0
    /// When any of its lines brought something last.
    var lastEvent: Duration = .zero
    /// The loop was away, and no connection has proved yet that it has brought everything since.
    var isStalled = false
    /// When its stream brought an event last, whatever probes said since.
    var lastSpoke: Duration = .zero
    /// Its stream had died, and has brought nothing since.
    var isMute = false
    /// Its snapshot may be from before it began to collect, and nothing says yet that no event between is missing.
    var mayBeOld = false
    var lateness = LatenessWatch()
    /// When its late connections are to be replaced, and how long after that the next ones.
    var lateRemedy: (due: Duration, pause: Duration)?
    var marketReading = MarketReading()
    var isProbing = false
    var nextProbe: Duration = .zero
    /// Since when nobody could say whether its silent stream lives: a probe failed, or waits for its turn.
    var unprovenSince: Duration?
    var didProbeFail = false
    /// The id of a book that is withdrawn because its stream's silence could not be explained.
    var doubtedID: Int64?
    /// A probe saw this id; if the stream does not bring it in time, it is dead.
    var awaited: (snapshot: BookSnapshot, until: Duration)?
    var nextRevival: Duration?
    /// When its market was last found not to trade, or not to be there; nil: it trades, or its contract has ended.
    var failedAt: Duration?
    /// Since when it collects events for the snapshot that it has asked for last.
    var collectsSince: Duration = .zero
    var lastReport: KeptBook.Report?

    init(book: KeptBook, demand: BookDemand, venue: Venue) {
        self.book = book
        self.venue = venue
        policy = DepthPolicy(exchange: venue.exchange, demand: demand)
        streamBytes = Array(book.stream.utf8)
        contractEnd = venue.exchange.contractEnd(ofMarket: book.id.market)
    }

    /// An order for a copy beside the book.
    struct FreshOrder {
        let number: Int
        let purpose: SnapshotOrder.Purpose
        let limit: Int
        /// Another worker's copy will not do any more.
        var needsExchange = false
        /// The size of the reply that the copy took, and when it took it.
        var reply: ReplySize?
        var answeredAt: Duration?
        /// Since when the copy is ahead of everything that the stream has brought.
        var aheadSince: Duration?
    }

    /// An event of the stream is about to be taken: its memory is asked for while another event is applied.
    func prefetch() {
        book.prefetch()
        // The number of lines stands just before the first.
        unsafe lines.withUnsafeBytes { if let first = $0.baseAddress { unsafe cprefetch_line(first - 16) } }
    }

    /// Its market does not trade, or is not there; it asks again after a minute.
    func failed(now: Duration) {
        failedAt = now
        nextRevival = now + .seconds(60)
    }

    /// Whether its stream is acknowledged on a connection in use.
    var isOpen: Bool { lines.contains(where: \.isOpen) }

    /// Whether a snapshot does not make it believable before its stream has brought an event.
    var waitsForEvent: Bool { isMute || mayBeOld }
}

/// One book's stream on one connection.
final class BookLine {
    let duty: BookDuty
    let feed: Feed
    /// Whether the stream is acknowledged on the connection in use.
    var isOpen = false
    var openedAt: Duration = .zero
    /// With which id its last event ended; 0: it has brought none, or ids have begun anew.
    var lastID: Int64 = 0
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
