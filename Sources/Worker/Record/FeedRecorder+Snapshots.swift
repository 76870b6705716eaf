import Binance
import Books
import Telemetry
import Transport

/// Snapshots of recorded markets, within the request weight and a few at a time.
extension FeedRecorder {
    /// Asks for a snapshot of `market`, if one may be asked for now; the next tick tries again otherwise.
    func request(_ market: RecordedMarket) {
        guard requests.count < Self.parallelRequests else { return }
        let exchange = configuration.exchange
        let request = exchange.depthRequest(market: market.name, limit: configuration.snapshotLimit)
        guard
            case .granted(let reservation) = weight.reserve(
                request.weight, nowMilliseconds: WallClock.milliseconds)
        else { return }
        market.isFetching = true
        requests[ObjectIdentifier(market)] = Task {
            await fetch(request, reservation, for: market)
        }
    }

    private func fetch(
        _ request: RESTRequest, _ reservation: RequestWeight.Reservation, for market: RecordedMarket
    ) async {
        var call = HTTPClientRequest(
            url: request.url, tls: TLSClientSettings(authorityFile: configuration.exchange.caFile))
        call.timeout = .seconds(20)
        let answer: Result<HTTPClientResponse, any Error>
        do { answer = .success(try await http.send(call)) } catch { answer = .failure(error) }
        requests[ObjectIdentifier(market)] = nil
        market.isFetching = false
        switch answer {
        case .success(let response): take(response, reservation, market)
        case .failure(let error):
            weight.observe(reservation, usedWeight: nil, nowMilliseconds: WallClock.milliseconds)
            if !(error is CancellationError) { wait(market, "\(error)") }
        }
    }

    private func take(
        _ response: HTTPClientResponse, _ reservation: RequestWeight.Reservation, _ market: RecordedMarket
    ) {
        let (time, milliseconds) = (WallTime.now, WallClock.milliseconds)
        let failure =
            response.status == 200
            ? nil
            : RequestFailure(
                status: response.status, retryAfter: response.headers.value(of: "retry-after"),
                body: response.body,
                nowMilliseconds: milliseconds)
        weight.observe(
            reservation, usedWeight: RequestWeight.usedWeight { response.headers.value(of: $0) },
            failure: failure, nowMilliseconds: milliseconds)
        if let failure {
            let words = "\(market.name): the exchange answered \(failure.status) \(failure.message)"
            switch failure.remedy {
            case .unknownMarket, .permanent: stop(.failure(RecordingError(words)))
            case .retry, .wait: wait(market, words)
            }
            return
        }
        do throws(WireError) {
            let snapshot = try SnapshotParser.parse(response.body)
            guard market.fits(snapshot) else {
                return wait(market, "snapshot \(snapshot.lastID) is older than the first recorded event")
            }
            guarded { () throws(RecordingError) in try market.files.add(snapshot: response.body, at: time) }
            market.tookSnapshot(now: now)
        } catch {
            wait(market, "unreadable snapshot: \(error)")
        }
    }

    private func wait(_ market: RecordedMarket, _ reason: String) {
        let delay = market.backoff.next()
        market.notBefore = now + delay
        Self.log.warning(
            "Snapshot is asked for again",
            ["market": market.name, "reason": reason, "milliseconds": "\(delay.wholeMilliseconds)"])
    }
}
