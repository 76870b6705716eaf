/// Which program speaks on a link.
package enum LinkRole: UInt8, Sendable { case worker = 1, gateway = 2, controller = 3 }

/// Who somebody says that they are in the hello.
package struct LinkIdentity: Sendable, Equatable {
    package var role: LinkRole
    package var name: String
    package var uid: String
    package var incarnation: String

    package init(role: LinkRole, name: String, uid: String, incarnation: String) {
        self.role = role
        self.name = name
        self.uid = uid
        self.incarnation = incarnation
    }
}

/// The secret of an installation; the previous one is accepted while keys change.
package struct LinkKeys: Sendable, Equatable {
    package var current: [UInt8]
    package var previous: [UInt8]?

    package init(current: [UInt8], previous: [UInt8]? = nil) {
        self.current = current
        self.previous = previous
    }
}

/// How fast a link notices trouble.
package struct LinkTimings: Sendable {
    package var heartbeat: Duration = .milliseconds(200)
    package var suspectAfter: Duration = .milliseconds(600)
    package var downAfter: Duration = .seconds(5)
    package var connectTimeout: Duration = .seconds(3)
    package var firstBackoff: Duration = .milliseconds(50)
    package var longestBackoff: Duration = .seconds(2)
    package init() {}
}

/// Where a client's link stands.
///
/// Requests are taken when `up` or `suspect`.
package enum LinkState: Sendable, Equatable {
    case connecting, up, suspect
    /// Not connected; tried again after a while. The text says why.
    case down(String)
    case stopped
}

/// Why a request got no answer.
package enum LinkError: Error, Sendable, Equatable {
    case notConnected(String)
    case connectionLost(String)
    case deadlineExceeded
    case tooLarge
}

/// One answer, with a payload of the caller's own.
package struct LinkAnswer: Sendable, Equatable {
    package var kind: UInt8
    package var payload: [UInt8]

    package init(kind: UInt8, payload: [UInt8]) {
        self.kind = kind
        self.payload = payload
    }
}

/// One request as the server's handler sees it; the payload is valid during the call only.
@safe package struct LinkRequest {  // Safe because: it is lent to the handler for one call, and no longer
    package let kind: UInt8
    package let payload: UnsafeRawBufferPointer
    package let peer: LinkIdentity
    package let loop: EventLoop
}

/// Answers requests that come over links, on the loop thread of each; must not block.
package protocol LinkRequestHandler: AnyObject, Sendable {
    func handle(_ request: LinkRequest, _ reply: LinkReply)
}
