import Books
import DepthCacheAPI
import K8sClient

/// The JSON object of both sides; numbers of the book are text, as they were sent.
enum BothSidesJSON {
    /// Sides of at most so many levels are put together on the stack with what is around them: with every number as long as
    /// one can be that is three quarters of a `TextPiece`.
    private static let fewLevels = 2

    /// Appends what an entry begins with: the room for its head, and the names.
    static func appendOpening(_ market: MarketQuery, to bytes: inout [UInt8]) {
        _ = BooksAnswer.beginServed(into: &bytes)
        bytes.append(contentsOf: "{\"exchange\":".utf8)
        append(name: market.exchange, to: &bytes)
        bytes.append(contentsOf: ",\"market\":".utf8)
        append(name: market.market, to: &bytes)
        bytes.append(contentsOf: ",\"update_id\":".utf8)
    }

    /// Names are plain text nearly always; what is not goes the long way.
    private static func append(name: String, to bytes: inout [UInt8]) {
        guard name.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x22 && $0 != 0x5C }) else {
            return bytes.append(contentsOf: JSONValue.string(name).bytes)
        }
        bytes.append(0x22)
        bytes.append(contentsOf: name.utf8)
        bytes.append(0x22)
    }

    /// Appends a served entry that begins with `opening`; `wall`: now, in milliseconds since 1970.
    static func appendEntry(
        _ book: borrowing OrderBook, _ opening: ArraySlice<UInt8>, _ query: BooksQuery,
        _ rendered: RenderedSides,
        wall: Int64, to bytes: inout [UInt8]
    ) {
        let start = bytes.count
        let limit = query.limit == 0 ? nil : Int(query.limit)
        let threshold = query.threshold.quote
        let bids = book.bids.select(limit: limit, threshold: threshold)
        let asks = book.asks.select(limit: limit, threshold: threshold)
        bytes.append(contentsOf: opening)
        if bids.count <= fewLevels, asks.count <= fewLevels {
            TextPiece.append(to: &bytes) { piece in
                times(book, wall, &piece)
                piece.add(bids, of: book.bids)
                piece.add(",\"asks\":")
                piece.add(asks, of: book.asks)
                coverage(book, bids, asks, &piece)
            }
        } else {
            TextPiece.append(to: &bytes) { times(book, wall, &$0) }
            rendered.append(book.bids, bids, of: book.version, as: .exact, to: &bytes)
            bytes.append(contentsOf: ",\"asks\":".utf8)
            rendered.append(book.asks, asks, of: book.version, as: .exact, to: &bytes)
            TextPiece.append(to: &bytes) { coverage(book, bids, asks, &$0) }
        }
        let mark = BookMark(
            updateID: book.lastID,
            coveredLevels: UInt32(clamping: book.bids.coveredCount + book.asks.coveredCount))
        BooksAnswer.endServed(mark, from: start, in: &bytes)
    }

    /// From the update id to where the bids begin.
    private static func times(_ book: borrowing OrderBook, _ wall: Int64, _ piece: inout TextPiece) {
        piece.add(number: book.lastID)
        piece.add(",\"event_time\":")
        if let time = book.eventTime { piece.add(number: time) } else { piece.add("null") }
        piece.add(",\"received_time\":")
        piece.add(number: book.receivedTime)
        piece.add(",\"age\":")
        piece.add(number: max(0, wall - book.receivedTime))
        piece.add(",\"bids\":")
    }

    /// From where the asks end to the object's end.
    private static func coverage(
        _ book: borrowing OrderBook, _ bids: LevelSelection, _ asks: LevelSelection, _ piece: inout TextPiece
    ) {
        piece.add(",\"coverage\":{\"bids\":")
        coverage(book.bids, bids, &piece)
        piece.add(",\"asks\":")
        coverage(book.asks, asks, &piece)
        piece.add("}}")
    }

    private static func coverage(
        _ side: borrowing Books.BookSide, _ selection: LevelSelection, _ piece: inout TextPiece
    ) {
        piece.add("{\"levels\":")
        piece.add(number: Int64(side.coveredCount))
        piece.add(",\"to\":")
        if let bound = side.coveredTo { piece.add(bound) } else { piece.add("null") }
        piece.add(selection.isComplete ? ",\"complete\":true}" : ",\"complete\":false}")
    }
}
