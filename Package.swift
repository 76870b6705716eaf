// swift-tools-version: 6.3
import PackageDescription

/// The strict settings of the house; every target has them.
let house: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
]

func library(_ name: String, _ dependencies: [Target.Dependency] = [], resources: [Resource] = []) -> Target {
    .target(name: name, dependencies: dependencies, resources: resources, swiftSettings: house)
}
func program(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(name: name, dependencies: dependencies, swiftSettings: house)
}
func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies + ["TestSupport"], swiftSettings: house)
}
func system(_ name: String, pkgConfig: String, apt: String) -> Target {
    .systemLibrary(name: name, pkgConfig: pkgConfig, providers: [.apt([apt])])
}

let package = Package(
    name: "fathom",
    products: [
        .executable(name: "fathom", targets: ["fathom"]),
        .executable(name: "exchange-simulator", targets: ["exchange-simulator"]),
        .executable(name: "fathom-bench", targets: ["fathom-bench"]),
    ],
    targets: [
        .systemLibrary(name: "CPrefetch"),
        .systemLibrary(name: "CDigits"),
        system("CCurl", pkgConfig: "libcurl", apt: "libcurl4-openssl-dev"),
        system("CYaml", pkgConfig: "yaml-0.1", apt: "libyaml-dev"),
        system("CWebSockets", pkgConfig: "libwebsockets", apt: "libwebsockets-dev"),
        system("COpenSSL", pkgConfig: "openssl", apt: "libssl-dev"),
        system("CSQLite", pkgConfig: "sqlite3", apt: "libsqlite3-dev"),

        library("Telemetry"),
        library("Books", ["CPrefetch", "CDigits"]),
        library("YAML", ["CYaml"]),
        library("Arguments", ["YAML"]),
        library("Transport", ["Telemetry", "CCurl", "CWebSockets", "COpenSSL"]),
        library("K8sClient", ["Transport", "Telemetry", "YAML"]),
        library(
            "DepthCacheAPI", ["K8sClient", "Transport", "Telemetry", "YAML", "Books"],
            resources: [.embedInCode("Resources")]),
        library("Binance", ["Books", "YAML"]),
        library("Controller", ["Binance", "DepthCacheAPI", "K8sClient", "Transport", "Telemetry"]),
        library(
            "Worker",
            ["Binance", "Books", "CPrefetch", "DepthCacheAPI", "K8sClient", "Transport", "Telemetry"]),
        library("Gateway", ["Binance", "Books", "DepthCacheAPI", "K8sClient", "Transport", "Telemetry"]),
        library("LocalCluster", ["DepthCacheAPI", "K8sClient", "Transport", "Telemetry", "YAML", "CSQLite"]),

        program(
            "fathom",
            [
                "Controller", "Worker", "Gateway", "LocalCluster", "Binance", "Books", "Transport",
                "Telemetry", "Arguments",
            ]),
        program(
            "exchange-simulator",
            ["Binance", "Books", "Transport", "Telemetry", "Arguments", "CCoreAffinity"]),
        .target(name: "CAllocationCount"),
        .target(name: "CCoreAffinity"),
        .target(name: "CPrecisePoll"),
        program(
            "fathom-bench",
            [
                "Controller", "Worker", "Binance", "Books", "Transport", "Arguments", "CAllocationCount",
                "CCoreAffinity", "CPrecisePoll",
            ]),

        .target(
            name: "TestSupport", dependencies: ["Books", "K8sClient", "Transport", "Telemetry"],
            path: "Tests/TestSupport",
            swiftSettings: house),
        // The comparison that hack/fuzz.sh runs millions of times; the tests run it over the kept inputs.
        .target(
            name: "FuzzChecks", dependencies: ["Binance", "Books"], path: "Tests/Fuzz/Checks",
            swiftSettings: house),
        tests("TelemetryTests", ["Telemetry"]),
        tests("BooksTests", ["Books"]),
        tests("ArgumentsTests", ["Arguments"]),
        tests(
            "FathomTests",
            ["fathom", "Arguments", "DepthCacheAPI", "K8sClient", "Worker", "YAML"]),
        tests("YAMLTests", ["YAML"]),
        tests("TransportTests", ["Transport", "Telemetry"]),
        tests("K8sClientTests", ["K8sClient", "Transport", "Telemetry", "YAML"]),
        tests("DepthCacheAPITests", ["DepthCacheAPI", "K8sClient", "YAML", "Books"]),
        tests("BinanceTests", ["Binance", "Books", "YAML", "Transport", "FuzzChecks"]),
        tests(
            "ControllerTests",
            ["Controller", "Binance", "DepthCacheAPI", "K8sClient", "Transport", "Telemetry"]),
        tests(
            "WorkerTests",
            ["Worker", "Binance", "Books", "DepthCacheAPI", "K8sClient", "Transport", "Telemetry"]),
        tests(
            "GatewayTests",
            ["Gateway", "Binance", "Books", "DepthCacheAPI", "K8sClient", "Transport", "Telemetry"]),
        tests(
            "LocalClusterTests",
            ["LocalCluster", "DepthCacheAPI", "K8sClient", "Transport", "Telemetry", "YAML"]),
        tests(
            "SimulatorTests",
            ["exchange-simulator", "Arguments", "Binance", "Books", "Transport", "Telemetry"]),
    ],
    swiftLanguageModes: [.v6]
)
