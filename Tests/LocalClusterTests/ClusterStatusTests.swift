import K8sClient
import Testing

@testable import LocalCluster

@Suite struct `the table of a cluster` {
    private let answer: JSONValue = [
        "version": "0.1.0",
        "db": [
            "timestamp": 1000,
            "pods": [
                "b": [
                    "NAME": "fathom-worker-1", "ROLE": "ubdcc-dcn", "API_PORT_REST": 42083,
                    "STATUS": "starting",
                    "VERSION": "0.1.0", "UBLDC_VERSION": "0.1.0",
                ],
                "a": [
                    "NAME": "fathom-worker-0", "ROLE": "ubdcc-dcn", "API_PORT_REST": 42082,
                    "STATUS": "running",
                    "VERSION": "0.1.0", "UBLDC_VERSION": "0.1.0",
                ],
                "g": [
                    "NAME": "a-gateway-with-a-long-name", "ROLE": "ubdcc-restapi", "API_PORT_REST": 42081,
                    "STATUS": "running", "VERSION": "0.1.0",
                ],
            ],
            "depthcaches": [
                "binance.com": [
                    "FULL": [
                        "DESIRED_QUANTITY": 2,
                        "DISTRIBUTION": ["a": ["STATUS": "running"], "b": ["STATUS": "running"]],
                    ],
                    "HALF": [
                        "DESIRED_QUANTITY": 2,
                        "DISTRIBUTION": [
                            "a": ["STATUS": "running", "RESTARTS": 2, "LAST_RESTART_TIME": 400.5],
                            "b": ["STATUS": "starting", "RESTARTS": 1, "LAST_RESTART_TIME": 300],
                        ],
                    ],
                    "ONE": [
                        "DESIRED_QUANTITY": 1, "DISTRIBUTION": ["a": ["STATUS": "running", "RESTARTS": 9]],
                    ],
                    "NONE": ["DESIRED_QUANTITY": 1, "DISTRIBUTION": ["a": ["STATUS": "starting"]]],
                    "OFF": ["DESIRED_QUANTITY": 0, "DISTRIBUTION": [:]],
                ]
            ],
        ],
    ]

    @Test func `it reads as the peer's does`() {
        var status = ClusterStatus(answer, gateway: "http://127.0.0.1:42081")
        status.insertManager(name: "fathom-controller-0", port: 42079, isRunning: true)
        #expect(
            status.text == """
                ROLE             NAME                 PORT     STATUS     VERSION
                ----------------------------------------------------------------------
                ubdcc-mgmt       fathom-controller-0  42079    running    0.1.0
                ubdcc-restapi    a-gateway-with-a-long-name 42081    running    0.1.0
                ubdcc-dcn        fathom-worker-0      42082    running    0.1.0 (ubldc 0.1.0)
                ubdcc-dcn        fathom-worker-1      42083    starting   0.1.0 (ubldc 0.1.0)

                DepthCaches: 5 (6 replicas: 4 running, 2 starting)
                Redundancy: 1 fully redundant, 1 degraded, 1 no redundancy, 1 unavailable, 1 inactive
                Version: 0.1.0

                EXCHANGE                     MARKET           RESTARTS  LAST RESTART
                ----------------------------------------------------------------------
                binance.com                  ONE                     9  -
                binance.com                  HALF                    3  9min ago

                REST API: http://127.0.0.1:42081/
                Cluster info: http://127.0.0.1:42081/get_cluster_info
                """)
    }

    @Test func `a controller that is away is down, and an empty cluster has no restarts`() {
        var status = ClusterStatus(["version": "0.1.0", "db": [:]], gateway: "http://g")
        status.insertManager(name: "fathom-controller-0", port: nil, isRunning: false)
        #expect(status.members.map(\.cells) == [["ubdcc-mgmt", "fathom-controller-0", "-", "down", "?"]])
        #expect(!status.text.contains("RESTARTS"))
        #expect(!status.text.contains("inactive"))
    }

    @Test func `programs get the same numbers`() {
        let json = ClusterStatus(answer, gateway: "http://g").json
        #expect(json.at("depthcaches", "running_replicas") == 4)
        #expect(json.at("depthcaches", "unavailable") == 1)
        #expect(json["members"]?.elements?.map { $0["port"] } == [42081, 42082, 42083])
        #expect(json["restarts"]?.elements?.first?["market"] == "ONE")
    }
}
