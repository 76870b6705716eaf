/// The connections of a server, counted in all and by client address.
struct HTTPConnections {
    private(set) var all: [ObjectIdentifier: (connection: HTTPServerConnection, loop: EventLoop)] = [:]
    private var byClient: [String: Int] = [:]

    /// Adds a connection, unless one of the limits is reached.
    mutating func add(
        _ connection: HTTPServerConnection, on loop: EventLoop, limits: HTTPServerConfiguration
    ) -> HTTPRefusal? {
        if all.count >= limits.maximumConnections { return .connections }
        let count = byClient[connection.client] ?? 0
        if count >= limits.maximumConnectionsPerClient { return .clientConnections }
        byClient[connection.client] = count + 1
        all[ObjectIdentifier(connection)] = (connection, loop)
        return nil
    }

    mutating func remove(_ connection: HTTPServerConnection) {
        guard all.removeValue(forKey: ObjectIdentifier(connection)) != nil else { return }
        let count = byClient[connection.client] ?? 0
        byClient[connection.client] = count > 1 ? count - 1 : nil
    }

    /// How many addresses are kept account of.
    var clientCount: Int { byClient.count }
}
