internal import CCurl

/// One transfer: the easy handle, what libcurl reads from it, and where its answer goes. Lives on the client's thread.
// Safe because: every pointer is made in `init`, freed in `deinit`, and used by the client's thread only.
@safe final class CurlTransfer {
    /// What a transfer reports, each at most once but for `piece`.
    enum Report {
        case head(status: Int, headers: [HTTPHeader])
        case finished
        case failed(TransportError)
    }

    let handle: UnsafeMutableRawPointer
    private let request: HTTPClientRequest
    private var headerList: UnsafeMutablePointer<curl_slist>?
    private let errorText: UnsafeMutablePointer<CChar>
    private let body: UnsafeMutablePointer<UInt8>?
    private var headers: [HTTPHeader] = []
    private var hasReportedHead = false
    private let report: (Report) -> Void
    /// Takes a piece of the body; false pauses the transfer.
    private let take: ([UInt8]) -> Bool

    init?(
        _ request: HTTPClientRequest, report: @escaping (Report) -> Void, take: @escaping ([UInt8]) -> Bool
    ) {
        guard let handle = unsafe curl_easy_init() else { return nil }
        unsafe self.handle = unsafe handle
        self.request = request
        self.report = report
        self.take = take
        unsafe errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
        unsafe errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        if let bytes = request.body {
            let copy = UnsafeMutablePointer<UInt8>.allocate(capacity: max(bytes.count, 1))
            for (index, byte) in bytes.enumerated() { unsafe copy[index] = byte }
            unsafe body = unsafe copy
        } else {
            unsafe body = nil
        }
    }

    deinit {
        unsafe curl_easy_cleanup(handle)
        unsafe curl_slist_free_all(headerList)
        unsafe errorText.deallocate()
        unsafe body?.deallocate()
    }

    /// Sets every option; the first refusal is returned.
    func configure() -> TransportError? {
        var refused: CURLcode = CURLE_OK
        func keep(_ code: CURLcode) { if refused == CURLE_OK { refused = code } }
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        unsafe keep(ccurl_setopt_pointer(handle, CURLOPT_PRIVATE, context))
        unsafe keep(ccurl_setopt_pointer(handle, CURLOPT_ERRORBUFFER, errorText))
        unsafe keep(ccurl_setopt_long(handle, CURLOPT_NOSIGNAL, 1))
        unsafe keep(ccurl_setopt_string(handle, CURLOPT_URL, request.url))
        unsafe keep(ccurl_setopt_string(handle, CURLOPT_CUSTOMREQUEST, request.method))
        unsafe keep(ccurl_setopt_string(handle, CURLOPT_ACCEPT_ENCODING, ""))
        unsafe keep(ccurl_setopt_string(handle, CURLOPT_PROTOCOLS_STR, "http,https"))
        if request.method == "HEAD" { unsafe keep(ccurl_setopt_long(handle, CURLOPT_NOBODY, 1)) }
        unsafe keep(ccurl_setopt_data(handle, CURLOPT_WRITEFUNCTION, receiveBody))
        unsafe keep(ccurl_setopt_pointer(handle, CURLOPT_WRITEDATA, context))
        unsafe keep(ccurl_setopt_data(handle, CURLOPT_HEADERFUNCTION, receiveHeader))
        unsafe keep(ccurl_setopt_pointer(handle, CURLOPT_HEADERDATA, context))
        unsafe keep(
            ccurl_setopt_long(handle, CURLOPT_CONNECTTIMEOUT_MS, Self.milliseconds(request.connectTimeout)))
        if let timeout = request.timeout {
            unsafe keep(ccurl_setopt_long(handle, CURLOPT_TIMEOUT_MS, Self.milliseconds(timeout)))
        }
        if let idle = request.idleTimeout {
            unsafe keep(ccurl_setopt_long(handle, CURLOPT_LOW_SPEED_LIMIT, 1))
            unsafe keep(
                ccurl_setopt_long(handle, CURLOPT_LOW_SPEED_TIME, max(1, Int(idle.components.seconds))))
        }
        unsafe keep(ccurl_setopt_long(handle, CURLOPT_TCP_KEEPALIVE, 1))
        if let body = unsafe body, let bytes = request.body {
            unsafe keep(ccurl_setopt_pointer(handle, CURLOPT_POSTFIELDS, body))
            unsafe keep(ccurl_setopt_long(handle, CURLOPT_POSTFIELDSIZE, bytes.count))
        }
        var fields = request.headers.map { "\($0.name): \($0.value)" }
        fields.append("Expect:")
        for field in fields where !field.utf8.contains(where: { $0 == 0x0A || $0 == 0x0D }) {
            unsafe headerList = curl_slist_append(headerList, field)
        }
        unsafe keep(ccurl_setopt_list(handle, CURLOPT_HTTPHEADER, headerList))
        keep(configureTLS())
        return refused == CURLE_OK ? nil : failure(refused)
    }

    private func configureTLS() -> CURLcode {
        let tls = request.tls
        var refused: CURLcode = CURLE_OK
        func keep(_ code: CURLcode) { if refused == CURLE_OK { refused = code } }
        if let pem = tls.authorityPEM {
            unsafe keep(ccurl_setopt_blob(handle, CURLOPT_CAINFO_BLOB, pem, pem.count))
        } else if let file = tls.authorityFile {
            unsafe keep(ccurl_setopt_string(handle, CURLOPT_CAINFO, file))
        }
        if let certificate = tls.certificatePEM, let key = tls.keyPEM {
            unsafe keep(ccurl_setopt_blob(handle, CURLOPT_SSLCERT_BLOB, certificate, certificate.count))
            unsafe keep(ccurl_setopt_blob(handle, CURLOPT_SSLKEY_BLOB, key, key.count))
        }
        if tls.skipsVerification {
            unsafe keep(ccurl_setopt_long(handle, CURLOPT_SSL_VERIFYPEER, 0))
            unsafe keep(ccurl_setopt_long(handle, CURLOPT_SSL_VERIFYHOST, 0))
        }
        return refused
    }

    private static func milliseconds(_ duration: Duration) -> Int {
        let (seconds, attoseconds) = duration.components
        return max(1, Int(seconds) * 1000 + Int(attoseconds / 1_000_000_000_000_000))
    }

    /// libcurl is done with this transfer.
    func finish(_ code: CURLcode) {
        reportHeadOnce()
        report(code == CURLE_OK ? .finished : .failed(failure(code)))
    }

    /// libcurl's own words for a failure, with the host and without the query.
    private func failure(_ code: CURLcode) -> TransportError {
        let detail = unsafe String(cString: errorText)
        let words = detail.isEmpty ? unsafe String(cString: curl_easy_strerror(code)) : detail
        let place = request.url.split(separator: "?", maxSplits: 1).first.map(String.init) ?? request.url
        let ours = [CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL, CURLE_SSL_CACERT_BADFILE].contains(code)
        return TransportError("\(request.method) \(place): \(words)", source: ours ? .ours : .network)
    }

    fileprivate func receiveHeaderLine(_ line: String) {
        if line.hasPrefix("HTTP/") {
            headers = []
        } else if line.isEmpty {
            var status = 0
            unsafe ccurl_getinfo_long(handle, CURLINFO_RESPONSE_CODE, &status)
            if status >= 200 { reportHeadOnce() }
        } else if let colon = line.firstIndex(of: ":") {
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            headers.append(HTTPHeader(line[..<colon].lowercased(), String(value)))
        }
    }

    private func reportHeadOnce() {
        var status = 0
        unsafe ccurl_getinfo_long(handle, CURLINFO_RESPONSE_CODE, &status)
        guard !hasReportedHead, status > 0 else { return }
        hasReportedHead = true
        report(.head(status: status, headers: headers))
    }

    fileprivate func receivePiece(_ piece: [UInt8]) -> Bool {
        reportHeadOnce()
        return take(piece)
    }
}

private func transfer(_ context: UnsafeMutableRawPointer?) -> CurlTransfer? {
    guard let context = unsafe context else { return nil }
    return unsafe Unmanaged<CurlTransfer>.fromOpaque(context).takeUnretainedValue()
}

private func receiveBody(
    _ bytes: UnsafeMutablePointer<CChar>, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    let piece = unsafe [UInt8](UnsafeRawBufferPointer(start: bytes, count: size * count))
    guard let transfer = unsafe transfer(context) else { return 0 }
    return transfer.receivePiece(piece) ? piece.count : Int(CURL_WRITEFUNC_PAUSE)
}

private func receiveHeader(
    _ bytes: UnsafeMutablePointer<CChar>, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    let raw = unsafe UnsafeRawBufferPointer(start: bytes, count: size * count)
    var line = unsafe String(decoding: raw, as: UTF8.self)
    while line.utf8.last == 0x0A || line.utf8.last == 0x0D || line.last == "\r\n" { line.removeLast() }
    unsafe transfer(context)?.receiveHeaderLine(line)
    return size * count
}
