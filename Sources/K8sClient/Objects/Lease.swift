/// `coordination.k8s.io/v1` Lease.
package struct Lease: KubernetesResource, Equatable {
    package struct Spec: Codable, Equatable, Sendable {
        package var holderIdentity: String?
        package var leaseDurationSeconds: Int?
        package var acquireTime: MicroTimestamp?
        package var renewTime: MicroTimestamp?
        package var leaseTransitions: Int?

        package init(
            holderIdentity: String? = nil, leaseDurationSeconds: Int? = nil,
            acquireTime: MicroTimestamp? = nil,
            renewTime: MicroTimestamp? = nil, leaseTransitions: Int? = nil
        ) {
            self.holderIdentity = holderIdentity
            self.leaseDurationSeconds = leaseDurationSeconds
            self.acquireTime = acquireTime
            self.renewTime = renewTime
            self.leaseTransitions = leaseTransitions
        }
    }

    package static var resource: APIResource {
        APIResource(group: "coordination.k8s.io", version: "v1", plural: "leases", kind: "Lease")
    }
    package var metadata: ObjectMeta
    package var spec: Spec

    package init(metadata: ObjectMeta, spec: Spec = Spec()) {
        self.metadata = metadata
        self.spec = spec
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        metadata = try container.decode(ObjectMeta.self, forKey: .metadata)
        spec = try container.decodeIfPresent(Spec.self, forKey: .spec) ?? Spec()
    }

    /// The holder, if there is one.
    package var holder: String? { spec.holderIdentity.flatMap { $0.isEmpty ? nil : $0 } }
}
