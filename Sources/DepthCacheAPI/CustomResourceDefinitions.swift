/// The CustomResourceDefinitions of Fathom, as YAML documents; `manifests/crds` holds the same bytes.
package enum CustomResourceDefinitions {
    package static let depthCaches = PackageResources.depthcaches_yaml
    package static let depthCacheReplicas = PackageResources.depthcachereplicas_yaml

    /// File name and content of each, in the order in which they are applied.
    package static var all: [(fileName: String, content: [UInt8])] {
        [("depthcaches.yaml", depthCaches), ("depthcachereplicas.yaml", depthCacheReplicas)]
    }
}
