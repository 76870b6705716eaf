package import K8sClient

/// Where a replica stands, written by its worker on transitions.
package struct DepthCacheReplicaStatus: Codable, Equatable, Sendable {
    package var phase: ReplicaPhase
    package var reason: Reason?
    package var message: String?
    /// When the replica entered its phase, RFC 3339.
    package var since: String?
    /// How often it had to synchronise anew since its worker started.
    package var restarts: Int?
    /// Which start of the worker wrote this.
    package var incarnation: String?
    /// Feed speed in use.
    package var updateIntervalMilliseconds: Int?

    /// The last comparison with the exchange's own book.
    package var lastAudit: ReplicaAudit?

    package init(
        phase: ReplicaPhase, reason: Reason? = nil, message: String? = nil, since: String? = nil,
        restarts: Int? = nil, incarnation: String? = nil, updateIntervalMilliseconds: Int? = nil,
        lastAudit: ReplicaAudit? = nil
    ) {
        self.lastAudit = lastAudit
        self.phase = phase
        self.reason = reason
        self.message = message
        self.since = since
        self.restarts = restarts
        self.incarnation = incarnation
        self.updateIntervalMilliseconds = updateIntervalMilliseconds
    }

    /// A merge patch that leaves nothing of an earlier status, such as the message of an earlier start of the worker.
    package func mergePatch() throws -> JSONValue {
        var patch = try JSONValue(encoding: self)
        patch["lastAudit"] = try lastAudit?.mergePatch()
        patch.removeOthers([
            "reason", "message", "since", "restarts", "updateIntervalMilliseconds", "lastAudit",
        ])
        return patch
    }
}

extension JSONValue {
    /// As a merge patch: what it does not have of `fields` is removed.
    mutating func removeOthers(_ fields: [String]) {
        for field in fields where self[field] == nil { self[field] = .null }
    }
}

/// A comparison of a copy with the exchange's own book at the same update id, inside the coverage of both.
package struct ReplicaAudit: Codable, Equatable, Sendable {
    package enum Result: String, Codable, Sendable {
        case match = "Match"
        case mismatch = "Mismatch"
    }
    /// RFC 3339.
    package var time: String
    package var result: Result
    package var updateID: Int64
    package var matched: Int
    /// Same price, another quantity.
    package var drifted: Int
    /// Levels that the exchange does not have.
    package var orphaned: Int
    /// Levels that only the exchange has.
    package var missed: Int
    /// The file on the worker that explains a mismatch.
    package var dump: String?

    package init(
        time: String, result: Result, updateID: Int64, matched: Int, drifted: Int, orphaned: Int, missed: Int,
        dump: String? = nil
    ) {
        self.time = time
        self.result = result
        self.updateID = updateID
        self.matched = matched
        self.drifted = drifted
        self.orphaned = orphaned
        self.missed = missed
        self.dump = dump
    }

    /// A merge patch that leaves nothing of an earlier comparison: objects in a merge patch merge, they do not replace.
    func mergePatch() throws -> JSONValue {
        var patch = try JSONValue(encoding: self)
        patch.removeOthers(["dump"])
        return patch
    }
}
