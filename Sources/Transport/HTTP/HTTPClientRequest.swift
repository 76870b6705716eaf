/// A header field; names compare without regard to case.
package struct HTTPHeader: Equatable, Sendable {
    package var name: String
    package var value: String

    package init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

extension [HTTPHeader] {
    /// The value of the first field with this name.
    package func value(of name: String) -> String? {
        first { $0.name.utf8.count == name.utf8.count && $0.name.lowercased() == name.lowercased() }?.value
    }
}

/// Whom a client trusts, and who it is.
package struct TLSClientSettings: Sendable, Hashable {
    /// PEM text of the authorities to trust instead of the system's.
    package var authorityPEM: [UInt8]?
    /// A file of authorities, read at each connection; `authorityPEM` wins.
    package var authorityFile: String?
    package var certificatePEM: [UInt8]?
    package var keyPEM: [UInt8]?
    /// Only what a kubeconfig says with `insecure-skip-tls-verify`.
    package var skipsVerification = false

    package init(authorityFile: String? = nil, authorityPEM: [UInt8]? = nil) {
        self.authorityFile = authorityFile
        self.authorityPEM = authorityPEM
    }
}

/// One request, as a value.
package struct HTTPClientRequest: Sendable {
    package var method: String
    package var url: String
    package var headers: [HTTPHeader]
    package var body: [UInt8]?
    package var tls: TLSClientSettings
    /// For connecting, including name resolution and TLS.
    package var connectTimeout: Duration = .seconds(5)
    /// For the whole request; `nil` for a stream, which has `idleTimeout` instead.
    package var timeout: Duration? = .seconds(10)
    /// A stream in which nothing arrives for this long is broken.
    package var idleTimeout: Duration?
    /// A larger answer is an error.
    package var maximumBodyBytes = 64 << 20

    package init(
        method: String = "GET", url: String, headers: [HTTPHeader] = [], body: [UInt8]? = nil,
        tls: TLSClientSettings = TLSClientSettings()
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.tls = tls
    }
}

/// A whole answer.
package struct HTTPClientResponse: Sendable {
    package var status: Int
    package var headers: [HTTPHeader]
    package var body: [UInt8]

    package init(status: Int, headers: [HTTPHeader], body: [UInt8]) {
        self.status = status
        self.headers = headers
        self.body = body
    }
}

/// An answer whose body is still arriving.
package struct HTTPClientStream: Sendable {
    package var status: Int
    package var headers: [HTTPHeader]
    /// Pieces in order; ends normally with the answer, throws where the connection broke.
    ///
    /// The transfer pauses while more than a few hundred KiB wait to be read, and ends when the sequence is dropped.
    package var body: HTTPBodyStream
}
