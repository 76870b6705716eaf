/// What is known of status codes.
enum HTTPStatus {
    /// Whether an answer of this status is followed by a body, be it empty.
    static func hasBody(_ status: Int) -> Bool { status != 204 && status != 304 }

    static func reason(_ status: Int) -> String {
        let reasons = [
            201: "Created", 202: "Accepted", 204: "No Content", 304: "Not Modified", 400: "Bad Request",
            401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
            408: "Request Timeout",
            409: "Conflict", 410: "Gone", 411: "Length Required", 413: "Content Too Large",
            415: "Unsupported Media Type", 418: "I'm a teapot", 422: "Unprocessable Content",
            429: "Too Many Requests", 431: "Request Header Fields Too Large", 500: "Internal Server Error",
            503: "Service Unavailable", 504: "Gateway Timeout",
        ]
        return reasons[status] ?? "Status"
    }
}
