import Books

/// A GET that an exchange answers without a key.
package struct RESTRequest: Sendable, Equatable {
    package var url: String
    package var weight: Int
}

extension Exchange {
    /// Asks for the best `limit` levels of each side.
    package func depthRequest(market: String, limit: Int) -> RESTRequest {
        let symbol = Self.percentEncoded(Self.canonicalMarket(market))
        return RESTRequest(
            url: "\(restBaseURL)\(apiPath)/depth?symbol=\(symbol)&limit=\(limit)",
            weight: snapshotWeight(limit: limit))
    }

    /// Whether `exchangeInfo` can be asked for some markets alone.
    package var listsMarketsByName: Bool { marketListBaseURL == nil && apiPath == "/api/v3" }

    /// Asks for the markets of those names, where that can be done and some are given, else for all; on Binance TR for the
    /// list of its own API.
    ///
    /// The exchange answers with `-1121` if it does not know one of the names.
    package func exchangeInfoRequest(markets: [String] = []) -> RESTRequest {
        if let marketListBaseURL {
            return RESTRequest(
                url: "\(marketListBaseURL)/open/v1/common/symbols", weight: exchangeInfoWeight)
        }
        var url = "\(restBaseURL)\(apiPath)/exchangeInfo"
        let names = listsMarketsByName ? markets.map(Self.canonicalMarket) : []
        if names.count == 1 {
            url += "?symbol=\(Self.percentEncoded(names[0]))"
        } else if !names.isEmpty {
            let list = names.map { "\"\($0)\"" }.joined(separator: ",")
            url += "?symbols=\(Self.percentEncoded("[\(list)]"))"
        }
        return RESTRequest(url: url, weight: exchangeInfoWeight)
    }

    /// Encodes all but unreserved characters.
    static func percentEncoded(_ text: String) -> String {
        let hex = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: bytes.append(byte)
            default: bytes += [0x25, hex[Int(byte >> 4)], hex[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// Why an exchange did not answer a request, and what follows from it.
package struct RequestFailure: Error, Sendable, Equatable {
    /// What to do about it.
    package enum Remedy: Sendable, Equatable {
        /// Passes by itself: ask again with growing waits.
        case retry
        /// Too much was asked (429) or the address is banned (418); nothing may be sent for the given time.
        case wait(milliseconds: Int64, isBan: Bool)
        /// There is no such market.
        case unknownMarket
        /// The request is wrong or not allowed from here; asking again changes nothing.
        case permanent
    }

    package var status: Int
    /// The exchange's own code.
    package var code: Int64?
    package var message: String
    package var remedy: Remedy

    /// Judges a reply other than a good one.
    ///
    /// `now` is in milliseconds since 1970.
    package init(status: Int, retryAfter: String?, body: [UInt8], nowMilliseconds now: Int64) {
        self.status = status
        (code, message) = Self.readBody(body)
        let told = retryAfter.flatMap { Int64($0) }.map { min(max($0, 0), 400_000) * 1000 }
        switch status {
        case 418, 429:
            let assumed = status == 418 ? 120_000 : RequestWeight.millisecondsToNextMinute(now)
            let wait = max(told ?? Self.banEnd(message).map { $0 - now } ?? assumed, 1000)
            remedy = .wait(milliseconds: wait, isBan: status == 418)
        case 403, 451: remedy = .permanent
        default: remedy = Self.remedy(status: status, code: code)
        }
    }

    /// Whether the exchange does not accept the API key that was sent.
    package var isAboutKey: Bool { status == 401 || [-2008, -2014, -2015].contains(code) }

    private static func remedy(status: Int, code: Int64?) -> Remedy {
        switch code {
        case -1121: .unknownMarket
        case -1000, -1001, -1003, -1006, -1007, -1008, -1016, -1034: .retry
        case .some where status < 500: .permanent
        case nil where (400..<500).contains(status) && status != 408: .permanent
        default: .retry
        }
    }

    private static func readBody(_ body: [UInt8]) -> (code: Int64?, message: String) {
        var event = DepthEvent()
        if case .reply(let reply)? = try? DepthEventParser().parse(body, into: &event) {
            return (reply.errorCode, reply.message ?? "")
        }
        return (nil, String(decoding: body.prefix(200), as: UTF8.self))
    }

    /// The time at which a ban ends, which is the end of its text.
    ///
    /// `… banned until 1659146400000.`
    private static func banEnd(_ message: String) -> Int64? {
        message.split { !$0.isNumber }.compactMap { $0.count == 13 ? Int64($0) : nil }.last
    }
}
