import K8sClient
import Transport

/// The supervisor's way to the API it started: few calls, as the admin.
struct ClusterAPI: Sendable {
    let client: HTTPClient
    let server: String
    let token: String
    let tls: TLSClientSettings

    /// The status and the body of an answer; 0 if there was none.
    func call(_ method: String, _ path: String, _ body: JSONValue? = nil) async -> (
        code: Int, body: JSONValue
    ) {
        var request = HTTPClientRequest(method: method, url: server + path)
        request.tls = tls
        request.timeout = .seconds(5)
        request.headers = [
            HTTPHeader("authorization", "Bearer \(token)"), HTTPHeader("user-agent", "fathom-up/1"),
            HTTPHeader("accept", "application/json"),
        ]
        if let body {
            let type = method == "PATCH" ? "application/merge-patch+json" : "application/json"
            request.headers.append(HTTPHeader("content-type", type))
            request.body = body.bytes
        }
        guard let response = try? await client.send(request) else { return (0, .null) }
        return (response.status, (try? JSONValue(parsing: response.body)) ?? .null)
    }

    /// What a child's endpoint says, if it says it well.
    func text(url: String) async -> String? {
        var request = HTTPClientRequest(method: "GET", url: url)
        request.timeout = .seconds(2)
        guard let response = try? await client.send(request), response.status == 200 else { return nil }
        return String(decoding: response.body, as: UTF8.self)
    }

    /// Why a health endpoint of a child does not say that it is ready; nil: it does.
    func unreadiness(url: String) async -> String? {
        var request = HTTPClientRequest(method: "GET", url: url)
        request.timeout = .seconds(2)
        do {
            let response = try await client.send(request)
            guard response.status != 200 else { return nil }
            let lines = String(decoding: response.body.prefix(500), as: UTF8.self).split(separator: "\n")
            return "\(response.status): " + lines.joined(separator: "; ")
        } catch {
            return "\(error)"
        }
    }
}
