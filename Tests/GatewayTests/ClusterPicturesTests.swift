import K8sClient
import Testing

@testable import Gateway

@Suite struct ClusterPicturesTests {
    @Test func `only what has changed is looked at, and nothing is whole before all kinds were`() throws {
        var pictures = ClusterPictures()
        var looks: [String] = []
        func key(_ name: String) -> ObjectKey { ObjectKey(namespace: "default", name: name) }
        func take(_ names: Set<String>, gone: Set<String> = []) {
            pictures.take(Set(names.map(key)), \.caches) { key in
                looks.append(key.name)
                guard !gone.contains(key.name) else { return nil }
                return CachePicture(name: key.name, uid: key.name, exchange: "binance.com", market: key.name)
            }
        }
        take(["a", "b", "c"])
        take(["b"], gone: ["b"])
        #expect(looks.sorted() == ["a", "b", "b", "c"])
        pictures.take([], \.replicas) { _ in nil }
        #expect(pictures.whole == nil, "the workers are not known yet")
        pictures.take([], \.workers) { _ in nil }
        let whole = try #require(pictures.whole)
        #expect(whole.caches.map(\.name).sorted() == ["a", "c"])
    }
}
