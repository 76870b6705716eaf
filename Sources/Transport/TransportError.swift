/// What went wrong between us and somebody else, in words, with whose fault it is.
package struct TransportError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Where the cause lies.
    package enum Source: Sendable { case ours, theirs, network }

    package var message: String
    package var source: Source
    /// Whether the same request may succeed if it is made again.
    package var mayRetry: Bool

    package init(_ message: String, source: Source, mayRetry: Bool? = nil) {
        self.message = message
        self.source = source
        self.mayRetry = mayRetry ?? (source != .ours)
    }

    package var description: String { message }
}
