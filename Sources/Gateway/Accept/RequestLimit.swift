internal import DepthCacheAPI
internal import Telemetry
internal import Transport

/// The request rate of clients, with the answer to one that asks too often.
final class RequestLimit: Sendable {
    private let addresses: ClientAddress
    private let limiter: Guarded<RateLimiter>
    private let refusals: HTTPRefusals

    init(rate: Int, trustedProxies: [IPNetwork], refusals: HTTPRefusals) {
        addresses = ClientAddress(trusted: trustedProxies)
        limiter = Guarded(RateLimiter(rate: rate))
        self.refusals = refusals
    }

    /// The answer that the request gets at once; nil lets it pass.
    func refusal(_ request: HTTPServerRequest, now: ContinuousClock.Instant) -> GatewayReply? {
        let client = addresses.client(peer: request.remoteAddress) {
            request.headers.filter { $0.name.asciiLowercased == "x-forwarded-for" }.map(\.value)
                .joined(separator: ",")
        }
        guard let wait = limiter.withLock({ $0.take(client, now: now) }) else { return nil }
        refusals.add(.rate, client: client, now: now)
        let words = "more requests than this gateway takes from one client; try again in \(wait) s"
        let headers = [HTTPHeader("retry-after", "\(wait)")]
        let path = request.path
        if V1Path.isOwn(path) {
            return Problem(status: 429, id: .tooManyRequests, detail: words, headers: headers).reply
        }
        let event = Endpoint(path: path)?.event ?? "REQUEST"
        let body = Envelope.render(Envelope.error(.tooManyRequests, event, words))
        return GatewayReply(status: 429, body: body, headers: headers)
    }
}
