internal import DepthCacheAPI

/// The objects that every endpoint answers with: HTTP 200, `event`, `result`, and `error_id` if it went wrong.
enum Envelope {
    static func ok(_ event: String, _ payload: [(String, JSONFragment)] = []) -> [(String, JSONFragment)] {
        payload + [("event", JSONFragment(event)), ("result", JSONFragment("OK"))]
    }

    static func error(
        _ id: ErrorID, _ event: String, _ message: String, _ extra: [(String, JSONFragment)] = []
    ) -> [(String, JSONFragment)] {
        extra + [
            ("error_id", JSONFragment(id.rawValue)), ("event", JSONFragment(event)),
            ("message", JSONFragment(message)), ("result", JSONFragment("ERROR")),
        ]
    }

    /// Keys sorted, which is what the peer's services do where they build an envelope.
    static func render(_ members: [(String, JSONFragment)]) -> ArraySlice<UInt8> {
        JSONFragment(members.sorted { $0.0 < $1.0 }).bytes[...]
    }

    /// Puts members before the last brace of a complete object that came from a worker.
    static func splice(
        _ members: [(String, JSONFragment)], into object: ArraySlice<UInt8>
    ) -> ArraySlice<UInt8> {
        guard !members.isEmpty else { return object }
        var bytes = Array(object.dropLast())
        for member in members {
            if bytes.count > 1 { bytes.append(UInt8(ascii: ",")) }
            bytes.append(json: member.0)
            bytes.append(UInt8(ascii: ":"))
            bytes.append(contentsOf: member.1.bytes)
        }
        bytes.append(UInt8(ascii: "}"))
        return bytes[...]
    }
}

/// A pod as the answers name it.
struct PodName: Equatable, Sendable {
    var name: String
    var uid: String
}

/// The optional `debug` member, with true times.
struct DebugBlock: Sendable {
    var url: String
    var start: ContinuousClock.Instant
    var postBody: JSONFragment?

    func fragment(usedPods: [PodName]) -> JSONFragment {
        let elapsed = (ContinuousClock.now - start).components
        let seconds = Double(elapsed.seconds) + Double(elapsed.attoseconds) / 1e18
        var members: [(String, JSONFragment)] = [("cluster_execution_time", JSONFragment(seconds: seconds))]
        if let postBody { members.append(("post_body", postBody)) }
        members += [
            ("request_time", JSONFragment(0)), ("transmission_time", JSONFragment(0)),
            ("url", JSONFragment(url)),
            (
                "used_pods",
                JSONFragment(usedPods.map { JSONFragment([JSONFragment($0.name), JSONFragment($0.uid)]) })
            ),
        ]
        return JSONFragment(members)
    }
}
