import K8sClient

extension JSONValue {
    /// The length of an array field, as a table cell.
    func count(of field: String, now: Int64) -> JSONValue {
        .string(String(self[field]?.elements?.count ?? 0))
    }
}

enum PodColumns {
    static let all: [PrinterColumn] = [
        BuiltinTypes.name,
        PrinterColumn(name: "Ready") { pod, _ in
            let containers = pod.at("spec", "containers")?.elements?.count ?? 0
            let ready = statuses(pod).count { $0["ready"] == true }
            return .string("\(ready)/\(containers)")
        },
        PrinterColumn(name: "Status") { pod, _ in .string(status(pod)) },
        PrinterColumn(name: "Restarts") { pod, now in .string(restarts(pod, now)) },
        BuiltinTypes.age,
        BuiltinTypes.column("IP", "status.podIP", priority: 1),
        PrinterColumn(name: "Node", priority: 1) { pod, _ in pod.at("spec", "nodeName") ?? "<none>" },
    ]

    private static func statuses(_ pod: JSONValue) -> [JSONValue] {
        pod.at("status", "containerStatuses")?.elements ?? []
    }

    private static func status(_ pod: JSONValue) -> String {
        if pod.at("metadata", "deletionTimestamp") != nil { return "Terminating" }
        if let reason = pod.at("status", "reason")?.text { return reason }
        for container in statuses(pod) {
            if let reason = container.at("state", "waiting", "reason")?.text { return reason }
            if let reason = container.at("state", "terminated", "reason")?.text { return reason }
        }
        return pod.at("status", "phase")?.text ?? "Pending"
    }

    private static func restarts(_ pod: JSONValue, _ now: Int64) -> String {
        let count = statuses(pod).reduce(0) { $0 + ($1["restartCount"]?.whole ?? 0) }
        let last = statuses(pod).compactMap { $0.at("lastState", "terminated", "finishedAt")?.text }.max()
        guard count > 0, let last else { return String(count) }
        return "\(count) (\(Clock.age(last, now: now)) ago)"
    }
}

enum ServiceColumns {
    static let all: [PrinterColumn] = [
        BuiltinTypes.name,
        BuiltinTypes.column("Type", "spec.type"),
        PrinterColumn(name: "Cluster-IP") { service, _ in service.at("spec", "clusterIP") ?? "<none>" },
        PrinterColumn(name: "External-IP") { _, _ in "<none>" },
        PrinterColumn(name: "Port(s)") { service, _ in
            let ports = (service.at("spec", "ports")?.elements ?? []).map {
                "\($0["port"]?.whole ?? 0)/\($0["protocol"]?.text ?? "TCP")"
            }
            return .string(ports.isEmpty ? "<none>" : ports.joined(separator: ","))
        },
        BuiltinTypes.age,
    ]
}

enum NodeColumns {
    static let all: [PrinterColumn] = [
        BuiltinTypes.name,
        PrinterColumn(name: "Status") { node, _ in
            let ready = (node.at("status", "conditions")?.elements ?? []).first { $0["type"] == "Ready" }
            return ready?["status"] == "True" ? "Ready" : "NotReady"
        },
        PrinterColumn(name: "Roles") { _, _ in "<none>" },
        BuiltinTypes.age,
        BuiltinTypes.column("Version", "status.nodeInfo.kubeletVersion"),
    ]
}

enum EventColumns {
    static let all: [PrinterColumn] = [
        PrinterColumn(name: "Last Seen") { event, now in
            let last =
                event["lastTimestamp"]?.text ?? event.at("series", "lastObservedTime")?.text
                ?? event["eventTime"]?.text ?? event["deprecatedLastTimestamp"]?.text
                ?? event.at("metadata", "creationTimestamp")?.text
            return .string(Clock.age(last, now: now))
        },
        BuiltinTypes.column("Type", "type"),
        BuiltinTypes.column("Reason", "reason"),
        PrinterColumn(name: "Object") { event, _ in
            let object = event["involvedObject"] ?? event["regarding"]
            let kind = object?["kind"]?.text?.lowercased() ?? ""
            return .string("\(kind)/\(object?["name"]?.text ?? "")")
        },
        PrinterColumn(name: "Subobject", priority: 1) { event, _ in
            (event["involvedObject"] ?? event["regarding"])?["fieldPath"] ?? ""
        },
        PrinterColumn(name: "Source", priority: 1) { event, _ in
            event.at("source", "component") ?? event["reportingComponent"] ?? event["reportingController"]
                ?? ""
        },
        PrinterColumn(name: "Message") { event, _ in event["message"] ?? event["note"] ?? "" },
        PrinterColumn(name: "First Seen", priority: 1) { event, now in
            .string(
                Clock.age(
                    event["firstTimestamp"]?.text ?? event.at("metadata", "creationTimestamp")?.text, now: now
                ))
        },
        PrinterColumn(name: "Count", priority: 1) { event, _ in
            .string(String(event["count"]?.whole ?? event["deprecatedCount"]?.whole ?? 1))
        },
        PrinterColumn(name: "Name", format: "name", priority: 1) { event, _ in
            event.at("metadata", "name") ?? ""
        },
    ]
}

/// Events as `events.k8s.io/v1` and as core `v1` are the same objects under different field names.
enum EventConversion {
    private static let names = [
        ("message", "note"), ("involvedObject", "regarding"), ("reportingComponent", "reportingController"),
        ("count", "deprecatedCount"), ("firstTimestamp", "deprecatedFirstTimestamp"),
        ("lastTimestamp", "deprecatedLastTimestamp"), ("source", "deprecatedSource"),
    ]

    static func toCore(_ event: JSONValue) -> JSONValue {
        rename(event, names.map { ($0.1, $0.0) }, apiVersion: "v1")
    }

    static func fromCore(_ event: JSONValue) -> JSONValue {
        rename(event, names, apiVersion: "events.k8s.io/v1")
    }

    private static func rename(_ event: JSONValue, _ names: [(String, String)], apiVersion: String)
        -> JSONValue
    {
        var result = event
        for (from, to) in names {
            if let value = event[from] {
                result[from] = nil
                result[to] = value
            }
        }
        result["apiVersion"] = .string(apiVersion)
        return result
    }
}
