/// The API group of Fathom's resources and the keys that its programs put on objects.
package enum Fathom {
    package static let group = "fathom.dev"
    package static let version = "v1alpha1"
    package static let groupVersion = "fathom.dev/v1alpha1"

    /// The Lease that the leading controller holds.
    package static let leaderLeaseName = "fathom-controller"
    /// How long a worker's Lease counts after its last renewal, and how often it is renewed.
    package static let workerLeaseDurationSeconds = 9
    package static let workerLeaseRenewalSeconds = 3
    /// The key of the link: Secret name in a cluster.
    package static let linkSecretName = "fathom-link"
}

/// Label keys; their values are uids, never markets (options and non-ASCII symbols do not fit labels).
package enum LabelKey {
    /// Names a worker by its uid.
    ///
    /// On a worker's Lease: its pod uid. On a DepthCacheReplica: the uid of the worker that has to keep it.
    package static let worker = "fathom.dev/worker"
    /// On a DepthCacheReplica: the uid of the DepthCache that it is a copy for.
    package static let depthCache = "fathom.dev/depthcache"
    package static let draining = "fathom.dev/draining"
    package static let accountGroup = "fathom.dev/account-group"
    /// On a Node: which of them reach the exchanges from one address; nodes without it are one group.
    package static let egressGroup = "fathom.dev/egress-group"
    /// On a Node, by Kubernetes: which of them fail together.
    package static let zone = "topology.kubernetes.io/zone"
    package static let applicationName = "app.kubernetes.io/name"
    package static let applicationComponent = "app.kubernetes.io/component"
}

/// Annotation keys.
package enum AnnotationKey {
    /// On a worker's Lease: `address:port` of its link.
    package static let endpoint = "fathom.dev/endpoint"
    /// On a worker's Lease: the node it runs on.
    package static let node = "fathom.dev/node"
    /// On a DepthCacheReplica: the name of the copy that goes once this one is ready.
    package static let replaces = "fathom.dev/replaces"
    /// On a DepthCacheReplica: the uid of that copy, as a later one may have its name.
    package static let replacesUID = "fathom.dev/replaces-uid"
    /// On a worker's Lease: `true` while the worker hands its books over before it ends.
    package static let draining = "fathom.dev/draining"
    /// On the Secret of the link key: change it now; with any value.
    package static let rotate = "fathom.dev/rotate"
    /// On the Secret of the link key: when it was changed last.
    package static let rotatedAt = "fathom.dev/rotated-at"
}

/// What the pods of Fathom say they are, in `app.kubernetes.io/component`.
package enum Component: String, Sendable {
    case controller, worker, gateway

    /// The labels of a pod (or Lease) of this component.
    package var labels: [String: String] {
        [LabelKey.applicationName: "fathom", LabelKey.applicationComponent: rawValue]
    }
}
