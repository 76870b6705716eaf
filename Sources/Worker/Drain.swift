import DepthCacheAPI
import K8sClient
import Telemetry

/// The end of a worker: says that it goes, and serves on until others have taken over what it keeps.
struct Drain: Sendable {
    private static let log = Log("worker")
    private static let pause: Duration = .milliseconds(100)

    let keeper: ReplicaKeeper
    let health: Health
    let configuration: WorkerConfiguration

    /// Returns whether nothing is left to be served; the calling task is cancelled already, so waiting is done in others.
    ///
    /// `isOver` says that there is nothing to wait for: another start of the worker has taken its place.
    func run(_ renewer: LeaseRenewer, unless isOver: @escaping @Sendable () -> Bool) async -> Bool {
        func hurries() -> Bool { configuration.mustHurry() || isOver() }
        guard !hurries() else { return false }
        health.setUnready("draining", "the worker hands its books over and ends")
        await renewer.annotate(AnnotationKey.draining, "true")
        let began = ContinuousClock.now
        let end = began + configuration.drainPeriod
        let count = await keeper.assignments.replicas.count
        Self.log.info(
            "Worker drains",
            ["name": configuration.name, "replicas": "\(count)", "atMost": "\(configuration.drainPeriod)"])
        var isEmpty = await keeper.isEmpty
        while !isEmpty, !hurries(), ContinuousClock.now < end {
            await Task { try? await Task.sleep(for: Self.pause) }.value
            isEmpty = await keeper.isEmpty
        }
        let left = await keeper.assignments.replicas.count
        Self.log.info(
            isEmpty
                ? "Worker has handed everything over" : "Worker ends with books that nobody has taken over",
            ["name": configuration.name, "replicas": "\(left)", "after": "\(began.duration(to: .now))"])
        return isEmpty
    }
}
