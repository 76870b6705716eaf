import K8sClient

/// Where an object lives: resource is `group/plural`, the namespace is empty for cluster-scoped ones.
struct ObjectKey: Hashable, Comparable, Sendable {
    var resource: String
    var namespace: String
    var name: String

    static func < (a: ObjectKey, b: ObjectKey) -> Bool {
        (a.resource, a.namespace, a.name) < (b.resource, b.namespace, b.name)
    }
}

/// What happened to one object at one revision.
struct Change: Sendable {
    enum Kind: Int64, Sendable { case added = 0, modified = 1, deleted = 2 }

    var revision: Int64
    var key: ObjectKey
    var kind: Kind
    /// The object after the change; for a deletion the last state, with the deletion's resourceVersion.
    var object: JSONValue
    /// The object before it: a selector needs it to tell "left the selection" from "never was in it".
    var previous: JSONValue?
}

/// All objects and the recent history of their changes, in SQLite with a mirror in memory.
///
/// One revision counter for everything, as etcd has: it is each object's resourceVersion.
final class ObjectStore {
    private let database: Database
    private let keptRevisions: Int
    private var objects: [String: [ObjectKey: JSONValue]] = [:]
    private(set) var revision: Int64 = 1
    /// Changes up to this one are forgotten: a watch from before it gets 410 Gone.
    private(set) var compactedRevision: Int64 = 0
    /// Random per database, for recognising it.
    private(set) var identity = ""

    init(path: String, keptRevisions: Int, identity newIdentity: String) throws(DatabaseError) {
        self.keptRevisions = keptRevisions
        database = try Database(path: path)
        try database.run(
            """
            CREATE TABLE IF NOT EXISTS objects(resource TEXT, namespace TEXT, name TEXT, body BLOB NOT NULL,
            PRIMARY KEY(resource, namespace, name)) WITHOUT ROWID
            """)
        try database.run(
            """
            CREATE TABLE IF NOT EXISTS revisions(revision INTEGER PRIMARY KEY, resource TEXT NOT NULL,
            namespace TEXT NOT NULL, name TEXT NOT NULL, change INTEGER NOT NULL, body BLOB NOT NULL, previous BLOB)
            """)
        try database.run("CREATE INDEX IF NOT EXISTS by_resource ON revisions(resource, revision)")
        try database.run("CREATE TABLE IF NOT EXISTS settings(name TEXT PRIMARY KEY, value)")
        try load(newIdentity)
    }

    private func load(_ newIdentity: String) throws(DatabaseError) {
        for row in try database.rows("SELECT resource, namespace, name, body FROM objects") {
            guard row.count == 4, let resource = row[0].text, let namespace = row[1].text,
                let name = row[2].text, let body = row[3].bytes, let object = try? JSONValue(parsing: body)
            else { throw DatabaseError(code: 11, message: "an object in the database is not valid JSON") }
            let key = ObjectKey(resource: resource, namespace: namespace, name: name)
            objects[resource, default: [:]][key] = object
        }
        revision = max(1, try setting("revision")?.integer ?? 1)
        compactedRevision = try setting("compacted")?.integer ?? 0
        if let known = try setting("identity")?.text {
            identity = known
        } else {
            identity = newIdentity
            try set("identity", .text(newIdentity))
        }
    }

    private func setting(_ name: String) throws(DatabaseError) -> Column? {
        try database.rows("SELECT value FROM settings WHERE name = ?", [.text(name)]).first?.first
    }

    private func set(_ name: String, _ value: Column) throws(DatabaseError) {
        try database.run("INSERT OR REPLACE INTO settings(name, value) VALUES(?, ?)", [.text(name), value])
    }

    func object(_ key: ObjectKey) -> JSONValue? { objects[key.resource]?[key] }

    /// The objects of one resource in key order; all namespaces if none is named.
    func list(_ resource: String, namespace: String? = nil) -> [(key: ObjectKey, object: JSONValue)] {
        (objects[resource] ?? [:])
            .filter { namespace == nil || $0.key.namespace == namespace }
            .map { (key: $0.key, object: $0.value) }.sorted { $0.key < $1.key }
    }

    var allKeys: [ObjectKey] { objects.values.flatMap(\.keys) }

    /// Stores `object` under the next revision, which becomes its resourceVersion.
    func put(_ key: ObjectKey, _ object: JSONValue) throws(DatabaseError) -> Change {
        let previous = objects[key.resource]?[key]
        var stored = object
        stored.setMetadata("resourceVersion", .string(String(revision + 1)))
        let change = Change(
            revision: revision + 1, key: key, kind: previous == nil ? .added : .modified, object: stored,
            previous: previous)
        try record(change)
        objects[key.resource, default: [:]][key] = stored
        return change
    }

    func delete(_ key: ObjectKey) throws(DatabaseError) -> Change? {
        guard let previous = objects[key.resource]?[key] else { return nil }
        var last = previous
        last.setMetadata("resourceVersion", .string(String(revision + 1)))
        let change = Change(
            revision: revision + 1, key: key, kind: .deleted, object: last, previous: previous)
        try record(change)
        objects[key.resource]?[key] = nil
        return change
    }

    /// Shows the objects of a resource in another form from now on; what is stored changes with their next write.
    func reshape(_ resource: String, _ form: (JSONValue) -> JSONValue) {
        objects[resource] = objects[resource]?.mapValues(form)
    }

    private func record(_ change: Change) throws(DatabaseError) {
        let key = change.key
        let body = Column.bytes(change.object.bytes)
        try database.transaction { () throws(DatabaseError) in
            let names: [Column] = [.text(key.resource), .text(key.namespace), .text(key.name)]
            if change.kind == .deleted {
                try database.run(
                    "DELETE FROM objects WHERE resource = ? AND namespace = ? AND name = ?", names)
            } else {
                try database.run(
                    "INSERT OR REPLACE INTO objects(resource, namespace, name, body) VALUES(?, ?, ?, ?)",
                    names + [body])
            }
            try database.run(
                """
                INSERT INTO revisions(revision, resource, namespace, name, change, body, previous)
                VALUES(?, ?, ?, ?, ?, ?, ?)
                """,
                [.integer(change.revision)] + names + [
                    .integer(change.kind.rawValue), body, change.previous.map { .bytes($0.bytes) } ?? .null,
                ])
            try set("revision", .integer(change.revision))
        }
        revision = change.revision
        // Compaction in steps keeps its cost away from most writes.
        if revision - compactedRevision > Int64(keptRevisions) * 5 / 4 {
            try compact(before: revision - Int64(keptRevisions))
        }
    }

    /// Forgets all changes up to and including `limit`.
    func compact(before limit: Int64) throws(DatabaseError) {
        guard limit > compactedRevision else { return }
        try database.transaction { () throws(DatabaseError) in
            try database.run("DELETE FROM revisions WHERE revision <= ?", [.integer(limit)])
            try set("compacted", .integer(limit))
        }
        compactedRevision = limit
    }

    /// What happened to a resource after `since`; nil if part of that is forgotten.
    func changes(of resource: String, after since: Int64) throws(DatabaseError) -> [Change]? {
        guard since >= compactedRevision else { return nil }
        let rows = try database.rows(
            """
            SELECT revision, namespace, name, change, body, previous FROM revisions
            WHERE resource = ? AND revision > ? ORDER BY revision
            """, [.text(resource), .integer(since)])
        return rows.compactMap { row in
            guard row.count == 6, let revision = row[0].integer, let namespace = row[1].text,
                let name = row[2].text, let kind = row[3].integer.flatMap(Change.Kind.init(rawValue:)),
                let object = row[4].bytes.flatMap({ try? JSONValue(parsing: $0) })
            else { return nil }
            return Change(
                revision: revision, key: ObjectKey(resource: resource, namespace: namespace, name: name),
                kind: kind, object: object, previous: row[5].bytes.flatMap { try? JSONValue(parsing: $0) })
        }
    }
}
