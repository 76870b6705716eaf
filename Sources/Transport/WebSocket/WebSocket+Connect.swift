internal import CWebSockets

extension WebSocket {
    /// Where a `ws://` or `wss://` URL points.
    private struct Place {
        var isTLS: Bool
        /// An IPv6 address stands here without its brackets.
        var host: String
        var port: Int
        var target: String
        /// As it stands in a URL.
        var authority: String { host.contains(":") ? "[\(host)]" : host }

        init(_ url: String) throws(TransportError) {
            func wrong(_ expected: String) -> TransportError {
                TransportError("'\(url)': expected \(expected)", source: .ours)
            }
            let schemes = [("wss://", true), ("ws://", false), ("https://", true), ("http://", false)]
            guard let (scheme, isTLS) = schemes.first(where: { url.hasPrefix($0.0) }) else {
                throw wrong("wss:// or ws://")
            }
            let rest = url.dropFirst(scheme.count)
            let slash = rest.firstIndex(of: "/") ?? rest.endIndex
            let authority = rest[..<slash]
            let nameEnd = authority.first == "[" ? authority.firstIndex(of: "]") : authority.startIndex
            guard let nameEnd else { throw wrong("a ']' after the address") }
            let colon = authority[nameEnd...].lastIndex(of: ":")
            let name = authority[..<(colon ?? authority.endIndex)]
            host = String(name.first == "[" ? name.dropFirst().dropLast() : name)
            guard !host.isEmpty else { throw wrong("a host") }
            self.isTLS = isTLS
            if let colon {
                guard let number = Int(authority[authority.index(after: colon)...]),
                    (1...65_535).contains(number)
                else {
                    throw wrong("a port from 1 to 65535")
                }
                port = number
            } else {
                port = isTLS ? 443 : 80
            }
            target = slash == rest.endIndex ? "/" : String(rest[slash...])
        }
    }

    /// Connects; the delegate hears `didOpen` or `didClose`, never both as the first.
    ///
    /// - Throws: for a URL that cannot be understood; everything else is a `didClose`.
    @discardableResult
    package static func connect(
        _ url: String, on loop: EventLoop, tls: TLSClientSettings = TLSClientSettings(),
        options: WebSocketOptions = WebSocketOptions(), delegate: any WebSocketDelegate
    ) throws(TransportError) -> WebSocket {
        let place = try Place(url)
        let key = try WebSocketHandshake.newKey()
        let isUsualPort = place.port == (place.isTLS ? 443 : 80)
        let request = WebSocketHandshake.request(
            host: isUsualPort ? place.authority : "\(place.authority):\(place.port)", target: place.target,
            key: key,
            headers: options.headers)
        let socket = WebSocket(
            connecting: loop, key: key, request: request, options: options, delegate: delegate)
        loop.execute { socket.dial(place, tls, timeout: options.connectTimeout) }
        return socket
    }

    private func dial(_ place: Place, _ tls: TLSClientSettings, timeout: Duration) {
        loop.schedule(after: timeout) { [weak self] in
            guard let self, !isOpen else { return }
            giveUp("\(place.authority):\(place.port): not connected within \(timeout.components.seconds) s")
        }
        AddressLookup.find(place.host, on: loop) { [self] result in
            switch result {
            // IPv4 first: hosts without an IPv6 route are common, and one address is tried at a time.
            case .success(let all): dial(place, tls, address: all.first { !$0.contains(":") } ?? all[0])
            case .failure(let error): giveUp("\(place.authority):\(place.port): \(error.message)")
            }
        }
    }

    private func dial(_ place: Place, _ tls: TLSClientSettings, address: String) {
        guard mayDial else { return }
        let channel = ByteChannel(loop: loop, handler: self)
        use(channel)
        var refusal: String?
        do throws(TransportError) {
            let begun = try channel.connect(
                address: address, host: place.host, port: place.port, tls: place.isTLS ? tls : nil)
            if !begun { refusal = "no connection could be begun" }
        } catch { refusal = error.message }
        if let refusal { giveUp("\(place.authority):\(place.port): \(refusal)") }
    }
}

extension ByteChannel {
    /// Begins to connect; false if libwebsockets refused at once.
    ///
    /// The result comes to the handler.
    func connect(
        address: String, host: String, port: Int, tls: TLSClientSettings?
    ) throws(TransportError) -> Bool {
        if let tls { use(try TLSClientFilter(host: host, settings: tls)) }
        guard let vhost = unsafe lws_get_vhost_by_name(loop.context, "default") else { return false }
        var info = unsafe lws_client_connect_info()
        unsafe info.context = unsafe loop.context
        unsafe info.vhost = unsafe vhost
        unsafe info.port = Int32(port)
        let box = ConnectionBox(self)
        let given = unsafe Unmanaged.passRetained(box)
        unsafe info.opaque_user_data = unsafe given.toOpaque()
        return unsafe address.withCString { host in
            unsafe "RAW".withCString { method in
                unsafe info.address = unsafe host
                unsafe info.host = unsafe host
                unsafe info.method = unsafe method
                unsafe info.local_protocol_name = unsafe UnsafePointer(LoopProtocols.name.pointer)
                guard let made = unsafe lws_client_connect_via_info(&info) else {
                    // Depending on how far it came, libwebsockets has told of the end, or never kept the box.
                    if !box.isForgotten { unsafe given.release() }
                    return false
                }
                unsafe attach(made)
                return true
            }
        }
    }
}
