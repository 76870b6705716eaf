package import Transport

/// Why a call to the Kubernetes API did not do what was asked.
package enum APIError: Error, Sendable, CustomStringConvertible {
    /// The API answered with a failure.
    case status(Status)
    /// The API could not be reached, or the connection broke.
    case transport(TransportError)
    /// An answer is not what its type says.
    case unreadable(String)
    /// Our access to the API is not set up.
    case access(String)

    package var status: Status? { if case .status(let status) = self { status } else { nil } }
    package var code: Int? { status?.code }
    package var reason: String? { status?.reason }

    package var isNotFound: Bool { code == 404 }
    package var isConflict: Bool { code == 409 && reason != "AlreadyExists" }
    package var isAlreadyExists: Bool { code == 409 && reason == "AlreadyExists" }
    package var isForbidden: Bool { code == 403 || code == 401 }

    /// How long the API asks us to stay away.
    package var retryAfter: Duration? { status?.details?.retryAfterSeconds.map { .seconds(min($0, 300)) } }

    package var description: String {
        switch self {
        case .status(let status):
            "the Kubernetes API answered \(status.code ?? 0) \(status.reason ?? ""): \(status.message ?? "no message")"
        case .transport(let error): "the Kubernetes API cannot be reached: \(error)"
        case .unreadable(let message): "the Kubernetes API's answer cannot be read: \(message)"
        case .access(let message): message
        }
    }

    /// From an answer that is no success.
    package init(_ answer: HTTPClientResponse) {
        self = Self.from(
            code: answer.status, body: answer.body, retryAfter: answer.headers.value(of: "retry-after"))
    }

    /// From an HTTP answer; proxies answer without a Status.
    static func from(code: Int, body: [UInt8], retryAfter: String?) -> APIError {
        var status =
            (try? JSONCoding.decode(Status.self, from: body))
            ?? Status(code: code, message: Self.excerpt(body))
        status.code = code
        if let seconds = retryAfter.flatMap({ Int($0) }), status.details?.retryAfterSeconds == nil {
            status.details = status.details ?? Status.Details()
            status.details?.retryAfterSeconds = seconds
        }
        return .status(status)
    }

    private static func excerpt(_ body: [UInt8]) -> String {
        String(decoding: body.prefix(200), as: UTF8.self)
    }

    /// Any error of a call, as one of ours; cancellation stays what it is.
    static func wrapping(_ error: any Error) -> any Error {
        switch error {
        case let error as APIError: error
        case let error as TransportError: APIError.transport(error)
        case let error as JSONError: APIError.unreadable("\(error)")
        default: error
        }
    }
}
