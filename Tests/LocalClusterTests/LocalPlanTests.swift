import Testing

@testable import LocalCluster

@Suite struct `the plan of the local cluster` {
    /// The arguments of every program but the simulator.
    private func arguments(_ configuration: UpConfiguration) -> [[String]] {
        let plan = LocalPlan(
            configuration, directory: "/data",
            ports: LocalPorts(
                kubernetes: 1, gateway: 2, gatewayHealth: 3, controller: 4, workers: [5, 6], simulator: 0),
            executable: "/bin/fathom", linkKeyFile: "/data/link.key")
        return plan.all.map { $0.arguments("uid") }
    }

    @Test func `every program is told what to log`() {
        var configuration = UpConfiguration()
        configuration.logArguments = ["--log-level", "debug"]
        let all = arguments(configuration)
        #expect(all.map { $0.first ?? "" } == ["apiserver", "controller", "gateway", "worker", "worker"])
        for words in all {
            #expect(value("--log-level", words) == "debug")
            #expect(value("--log-format", words) == nil)
        }
    }

    @Test func `what up was not told its programs are not told either`() {
        for words in arguments(UpConfiguration()) {
            #expect(!words.contains("--log-level"))
        }
    }

    private func value(_ flag: String, _ words: [String]) -> String? {
        words.firstIndex(of: flag).flatMap { $0 + 1 < words.count ? words[$0 + 1] : nil }
    }
}
