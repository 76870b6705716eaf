import K8sClient

/// The Pod object that stands for a child process.
struct PodRecord: Sendable {
    var name: String
    var component: String
    var command: [String]

    static let node = "local"

    var object: JSONValue {
        [
            "apiVersion": "v1", "kind": "Pod",
            "metadata": [
                "name": .string(name),
                "labels": [
                    "app.kubernetes.io/name": "fathom", "app.kubernetes.io/component": .string(component),
                ],
            ],
            "spec": [
                "nodeName": .string(Self.node), "hostNetwork": true, "restartPolicy": "Always",
                "containers": [
                    ["name": .string(component), "image": "fathom:local", "command": .strings(command)]
                ],
            ],
        ]
    }

    /// What is known about the process at the moment; times in microseconds since 1970.
    struct Condition: Equatable, Sendable {
        var isRunning = false
        var isReady = false
        var restarts = 0
        var startedAt: Int64 = 0
        var readyChangedAt: Int64 = 0
        var lastExitCode: Int32?
        var lastExitAt: Int64 = 0
        var lastStartedAt: Int64 = 0
    }

    func status(_ condition: Condition) -> JSONValue {
        let since = JSONValue.string(Clock.seconds(condition.readyChangedAt))
        func entry(_ type: String, _ holds: Bool) -> JSONValue {
            ["type": .string(type), "status": holds ? "True" : "False", "lastTransitionTime": since]
        }
        var container: JSONValue = [
            "name": .string(component), "image": "fathom:local", "imageID": "",
            "ready": .bool(condition.isReady), "started": .bool(condition.isRunning),
            "restartCount": .from(condition.restarts),
        ]
        if condition.isRunning {
            container["state"] = ["running": ["startedAt": .string(Clock.seconds(condition.startedAt))]]
        } else {
            let reason: JSONValue = condition.restarts > 0 ? "CrashLoopBackOff" : "ContainerCreating"
            container["state"] = ["waiting": ["reason": reason]]
        }
        if let code = condition.lastExitCode {
            container["lastState"] = [
                "terminated": [
                    "exitCode": .from(Int(code)), "reason": code == 0 ? "Completed" : "Error",
                    "startedAt": .string(Clock.seconds(condition.lastStartedAt)),
                    "finishedAt": .string(Clock.seconds(condition.lastExitAt)),
                ]
            ]
        }
        return [
            "phase": condition.isRunning || condition.restarts > 0 ? "Running" : "Pending",
            "podIP": "127.0.0.1", "hostIP": "127.0.0.1", "podIPs": [["ip": "127.0.0.1"]],
            "startTime": .string(Clock.seconds(condition.startedAt)),
            "conditions": [
                entry("PodScheduled", true), entry("Initialized", true),
                entry("ContainersReady", condition.isReady), entry("Ready", condition.isReady),
            ],
            "containerStatuses": [container],
        ]
    }

    /// The node that all local pods run on, and its status.
    static func nodeObject(now: Int64) -> (object: JSONValue, status: JSONValue) {
        let time = JSONValue.string(Clock.seconds(now))
        return (
            [
                "apiVersion": "v1", "kind": "Node",
                "metadata": ["name": .string(node), "labels": ["kubernetes.io/hostname": .string(node)]],
            ],
            [
                "addresses": [["type": "InternalIP", "address": "127.0.0.1"]],
                "nodeInfo": ["kubeletVersion": "v1.32.0+fathom", "operatingSystem": "linux"],
                "conditions": [
                    [
                        "type": "Ready", "status": "True", "reason": "LocalCluster",
                        "message": "the local cluster runs", "lastTransitionTime": time,
                        "lastHeartbeatTime": time,
                    ]
                ],
            ]
        )
    }
}
