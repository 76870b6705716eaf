import K8sClient
import Transport

/// A gateway as a client asks it.
struct GatewayAccess: Sendable {
    private enum Way: Sendable {
        case direct(HTTPClient, token: String?, tls: TLSClientSettings)
        /// The Kubernetes API passes requests on to a Service.
        case proxied(KubernetesClient, token: String?)
    }

    /// Without a slash at its end.
    let url: String
    private let way: Way

    init(url: String, http: HTTPClient, token: String?, tls: TLSClientSettings) {
        self.url = url.hasSuffix("/") ? String(url.dropLast()) : url
        way = .direct(http, token: token, tls: tls)
    }

    /// `scheme` is the name of the Service's port, too.
    init(service: String, scheme: String, through client: KubernetesClient, token: String?) {
        url = "/api/v1/namespaces/\(client.namespace)/services/\(scheme):\(service):\(scheme)/proxy"
        way = .proxied(client, token: token)
    }

    /// An answer of the gateway that says no, in its words.
    struct Refusal: Error, CustomStringConvertible {
        var id: String
        var message: String
        var description: String { "\(message) (\(id))" }
    }

    /// The body of the answer, whatever it says.
    func body(
        _ path: String, _ query: KeyValuePairs<String, String> = [:], method: String = "GET",
        send document: JSONValue? = nil, timeout: Duration = .seconds(10)
    ) async throws -> [UInt8] {
        var request = request(method, path, query, document)
        switch way {
        case .proxied(var client, let token):
            client.timeout = timeout
            // The API takes `authorization` for itself and does not pass it on.
            if let token { request.headers = [HTTPHeader("fathom-authorization", "Bearer \(token)")] }
            let answer: HTTPClientResponse
            do { answer = try await client.answer(to: request) } catch {
                // Who is cut off while the body comes gets a transport error like any other.
                try Task.checkCancellation()
                throw error
            }
            guard answer.status == 200 else { throw Self.failure(answer) }
            return answer.body
        case .direct(let http, let token, let tls):
            var direct = HTTPClientRequest(method: method, url: url + request.target)
            direct.tls = tls
            direct.timeout = timeout
            direct.headers = [HTTPHeader("accept", "application/json"), HTTPHeader("user-agent", "fathom")]
            if let token { direct.headers.append(HTTPHeader("authorization", "Bearer \(token)")) }
            if let document {
                direct.headers.append(HTTPHeader("content-type", "application/json"))
                direct.body = document.bytes
            }
            let answer: HTTPClientResponse
            do { answer = try await http.send(direct) } catch let error as TransportError {
                try Task.checkCancellation()
                throw CommandExit(
                    code: ExitCode.unreachable, words: "the gateway at \(url) cannot be reached: \(error)")
            }
            guard answer.status == 200 else { throw Self.refusal(answer) }
            return answer.body
        }
    }

    private func request(
        _ method: String, _ path: String, _ query: KeyValuePairs<String, String>, _ document: JSONValue?
    ) -> APIRequest {
        let prefix = if case .proxied = way { url } else { "" }
        var request = APIRequest(method, prefix + path, body: document)
        request.query = query.map { APIRequest.Parameter($0.key, $0.value) }
        return request
    }

    /// What came through the Kubernetes API: its own refusal, or the gateway's.
    private static func failure(_ answer: HTTPClientResponse) -> any Error {
        guard let document = try? JSONValue(parsing: answer.body), document["kind"] == "Status" else {
            return refusal(answer)
        }
        let advice =
            switch answer.status {
            case 403:
                "; this way to the gateway needs 'get' (and 'create' for orders) on services/proxy, or say --gateway URL"
            case 502, 503, 504: "; no gateway answers behind the Service"
            default: ""
            }
        return Refusal(
            id: "HTTP \(answer.status)",
            message: "the Kubernetes API: \(document["message"]?.text ?? "no message")" + advice)
    }

    private static func refusal(_ answer: HTTPClientResponse) -> Refusal {
        let document = try? JSONValue(parsing: answer.body)
        let words =
            document?["message"]?.text ?? document?["detail"]?.text ?? document?["title"]?.text
            ?? "the gateway refused the request"
        let advice =
            switch answer.status {
            case 401: "; say --token-file FILE"
            case 403: "; the token may not do this, or the gateway does not know this host name"
            default: ""
            }
        return Refusal(id: "HTTP \(answer.status)", message: words + advice)
    }

    /// The answer as JSON; one with an error is thrown.
    func ask(
        _ path: String, _ query: KeyValuePairs<String, String> = [:], method: String = "GET",
        send document: JSONValue? = nil, timeout: Duration = .seconds(10)
    ) async throws -> JSONValue {
        let answer = try JSONValue(
            parsing: try await body(path, query, method: method, send: document, timeout: timeout))
        // The last known state is worth showing; who needs more sees the words beside it.
        if answer["result"] == "ERROR", answer["error_id"] != "#8000" {
            throw Refusal(
                id: answer["error_id"]?.text ?? "no id", message: answer["message"]?.text ?? "no reason given"
            )
        }
        return answer
    }
}
