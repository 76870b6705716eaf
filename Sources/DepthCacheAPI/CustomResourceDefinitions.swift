/// The CustomResourceDefinitions of Fathom, as YAML documents.
///
/// `hack/generate-manifests.sh` copies them to `manifests/crds` and into the chart.
package enum CustomResourceDefinitions {
    package static let depthCaches = PackageResources.depthcaches_yaml
    package static let depthCacheReplicas = PackageResources.depthcachereplicas_yaml

    /// File name and content of each, in the order in which they are applied.
    package static var all: [(fileName: String, content: [UInt8])] {
        [("depthcaches.yaml", depthCaches), ("depthcachereplicas.yaml", depthCacheReplicas)]
    }
}
