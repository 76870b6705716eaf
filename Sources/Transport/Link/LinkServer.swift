/// The answering side of links; mount it at `/link/v1` of an `HTTPServer`.
package final class LinkServer: WebSocketAcceptor {
    package init(
        identity: LinkIdentity, keys: @escaping @Sendable () -> LinkKeys,
        timings: LinkTimings = LinkTimings(),
        handler: any LinkRequestHandler
    ) {}
    package func accept(_ request: HTTPServerRequest) -> (any WebSocketDelegate)? { nil }
    package var linkCount: Int { 0 }
    /// Closes all links with a goodbye.
    package func stop() {}
}

/// The way back for one request; from any thread, once.
package struct LinkReply: Sendable {
    package func send(kind: UInt8, payload: [UInt8]) {}
    /// Writes the payload straight into the link's outgoing batch; only on the loop's thread.
    package func send(kind: UInt8, writing body: (inout [UInt8]) -> Void) {}
}
