import K8sClient

/// Where a watch's lines go; the network side implements it.
protocol WatchSink: AnyObject, Sendable {
    /// Sends one line; false if the reader is gone or too slow, which ends the watch.
    func send(_ line: [UInt8]) -> Bool
    func end()
}

/// An open watch.
struct Watcher {
    var order: WatchOrder
    var sink: any WatchSink
    var deadline: Int64
    /// When the reader gets its next bookmark: the sign of life of a quiet watch.
    var nextBookmark: Int64
}

extension APICore {
    /// Prepares a watch: what it missed becomes its backlog.
    func watch(_ request: APIRequest, _ type: ResourceType, _ path: ResourcePath) throws(StatusError)
        -> APIAnswer
    {
        let selection = try selection(request, type)
        let timeout = min(3600, max(1, request.value("timeoutSeconds").flatMap(Int.init) ?? 1800))
        var order = WatchOrder(
            type: type, namespace: path.namespace, selection: selection, asTable: TableWish(request),
            bookmarks: request.isTrue("allowWatchBookmarks"), timeoutSeconds: timeout, backlog: [],
            upTo: store.revision)
        let asked = request.value("resourceVersion") ?? ""
        guard let since = Int64(asked.isEmpty ? "0" : asked) else {
            throw .badRequest("Invalid value for resourceVersion: \"\(asked)\"")
        }
        let wantsInitial = request.value("sendInitialEvents") == "true"
        if wantsInitial || since == 0 {
            guard !wantsInitial || since <= store.revision else {
                throw StatusError(
                    504, "Timeout", "Too large resource version: \(since), current: \(store.revision)")
            }
            if request.value("sendInitialEvents") != "false" {
                for (_, object) in store.list(type.storageKey, namespace: path.namespace)
                where selection.matches(object) { order.backlog.append(line("ADDED", object, order)) }
            }
            if wantsInitial { order.backlog.append(bookmark(order, endsInitialEvents: true)) }
            return .watch(order)
        }
        // A version from the future is one of another database: only a new list helps.
        guard since <= store.revision else { throw StatusError.expired(since, store.revision) }
        do {
            guard let missed = try store.changes(of: type.storageKey, after: since) else {
                throw StatusError.expired(since, store.compactedRevision)
            }
            order.backlog = missed.compactMap { line(for: $0, order) }
        } catch let error as StatusError {
            throw error
        } catch {
            throw StatusError.internalError("the history could not be read: \(error)")
        }
        return .watch(order)
    }

    /// Tells every watch that a change concerns.
    func publish(_ change: Change) {
        for (id, watcher) in watchers where watcher.order.type.storageKey == change.key.resource {
            guard let line = line(for: change, watcher.order) else { continue }
            if !watcher.sink.send(line) {
                watchers[id] = nil
                watcher.sink.end()
            }
        }
    }

    /// Sends bookmarks to quiet watches and ends those whose time is up; runs every second or so.
    func tendWatches() {
        let time = now()
        for (id, watcher) in watchers {
            if time >= watcher.deadline {
                watchers[id] = nil
                watcher.sink.end()
            } else if watcher.order.bookmarks, time >= watcher.nextBookmark {
                if watcher.sink.send(bookmark(watcher.order, endsInitialEvents: false)) {
                    watchers[id]?.nextBookmark = time + 5_000_000
                } else {
                    watchers[id] = nil
                    watcher.sink.end()
                }
            }
        }
    }

    func forgetWatcher(_ sink: any WatchSink) {
        watchers = watchers.filter { $0.value.sink !== sink }
    }

    func endAllWatches() {
        for watcher in watchers.values { watcher.sink.end() }
        watchers = [:]
    }

    func endWatches(of type: ResourceType) {
        for (id, watcher) in watchers where watcher.order.type.storageKey == type.storageKey {
            watchers[id] = nil
            watcher.sink.end()
        }
    }

    private func line(for change: Change, _ order: WatchOrder) -> [UInt8]? {
        if let namespace = order.namespace, namespace != change.key.namespace { return nil }
        let was = change.previous.map(order.selection.matches) ?? false
        let isNow = change.kind != .deleted && order.selection.matches(change.object)
        switch (was, isNow) {
        case (false, false): return nil
        case (false, true): return line("ADDED", change.object, order)
        case (true, true): return line("MODIFIED", change.object, order)
        case (true, false):
            // The last state that was in the selection, under the version of the change.
            var last = change.previous ?? change.object
            last.setMetadata("resourceVersion", .string(String(change.revision)))
            return line("DELETED", last, order)
        }
    }

    private func line(_ event: String, _ object: JSONValue, _ order: WatchOrder) -> [UInt8] {
        var shown = presented(object, as: order.type)
        if let wish = order.asTable {
            let version = object.at("metadata", "resourceVersion") ?? ""
            shown = table(order.type, [shown], ["resourceVersion": version], wish)
        }
        let line: JSONValue = ["type": .string(event), "object": shown]
        return line.bytes + [UInt8(ascii: "\n")]
    }

    private func bookmark(_ order: WatchOrder, endsInitialEvents: Bool) -> [UInt8] {
        var metadata: JSONValue = ["resourceVersion": .string(String(store.revision))]
        if endsInitialEvents { metadata["annotations"] = ["k8s.io/initial-events-end": "true"] }
        var object: JSONValue = [
            "kind": .string(order.type.kind), "apiVersion": .string(order.type.apiVersion),
            "metadata": metadata,
        ]
        if let wish = order.asTable { object = table(order.type, [], metadata, wish) }
        let line: JSONValue = ["type": "BOOKMARK", "object": object]
        return line.bytes + [UInt8(ascii: "\n")]
    }
}
