package import K8sClient

/// A worker as its Lease describes it.
package struct WorkerRecord: Equatable, Sendable {
    /// Pod name, which is the Lease's name.
    package var name: String
    /// Pod uid; what the label `fathom.dev/worker` of its replicas holds.
    package var uid: String
    /// This start of the worker; nil once it has ended in order.
    package var incarnation: String?
    /// `address:port` of its link.
    package var endpoint: String?
    package var node: String
    package var isDraining: Bool

    package init(
        name: String, uid: String, incarnation: String?, endpoint: String?, node: String = "",
        isDraining: Bool = false
    ) {
        self.name = name
        self.uid = uid
        self.incarnation = incarnation
        self.endpoint = endpoint
        self.node = node
        self.isDraining = isDraining
    }

    /// Reads a worker's Lease; nil when it is the Lease of something else.
    package init?(_ lease: Lease) {
        let labels = lease.metadata.labels
        guard labels[LabelKey.applicationComponent] == Component.worker.rawValue,
            let uid = labels[LabelKey.worker], !uid.isEmpty, let name = lease.metadata.name
        else { return nil }
        let annotations = lease.metadata.annotations
        self.init(
            name: name, uid: uid, incarnation: lease.holder, endpoint: annotations[AnnotationKey.endpoint],
            node: annotations[AnnotationKey.node] ?? "",
            isDraining: annotations[AnnotationKey.draining] == "true" || labels[LabelKey.draining] == "true")
    }

    /// The Lease that a worker creates and then renews.
    package func lease(namespace: String, renewed: MicroTimestamp) -> Lease {
        var labels = Component.worker.labels
        labels[LabelKey.worker] = uid
        var annotations = [AnnotationKey.node: node]
        annotations[AnnotationKey.endpoint] = endpoint
        if isDraining { annotations[AnnotationKey.draining] = "true" }
        return Lease(
            metadata: ObjectMeta(
                name: name, namespace: namespace, labels: labels, annotations: annotations),
            spec: Lease.Spec(
                holderIdentity: incarnation, leaseDurationSeconds: Fathom.workerLeaseDurationSeconds,
                acquireTime: renewed, renewTime: renewed))
    }

    /// The label selector that finds the Leases of workers.
    package static let selector =
        "\(LabelKey.applicationName)=fathom,\(LabelKey.applicationComponent)=worker"
}
