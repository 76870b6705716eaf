import DepthCacheAPI
import FoundationEssentials
import K8sClient
import Testing
import Transport

@testable import Controller

/// When the key of the links changes, and to what.
@Suite struct LinkKeyPlanTests {
    private static let old = [UInt8](repeating: 1, count: 32)
    private static let older = [UInt8](repeating: 2, count: 32)
    private static let new = [UInt8](repeating: 3, count: 32)
    private static let now: Int64 = 1_800_000_000
    private static let day: Int64 = 86_400

    private func secret(
        current: [UInt8]? = old, previous: [UInt8]? = nil, age: Int64? = 60, asked: Bool = false
    ) -> Secret {
        var data: [String: Data] = [:]
        data[LinkKeys.currentKey] = current.map { Data(Digest.hex($0).utf8) }
        data[LinkKeys.previousKey] = previous.map { Data(Digest.hex($0).utf8) }
        var annotations: [String: String] = [:]
        annotations[AnnotationKey.rotatedAt] = age.map {
            "\(Timestamp(secondsSinceEpoch: Self.now - $0))"
        }
        if asked { annotations[AnnotationKey.rotate] = "now" }
        return Secret(metadata: ObjectMeta(name: "fathom-link", annotations: annotations), data: data)
    }

    private func decide(_ secret: Secret?, last: LinkKeys? = nil) -> LinkKeyPlan {
        LinkKeyPlan.decide(secret, last: last, interval: 30 * Self.day, now: Self.now) { Self.new }
    }

    @Test func `a missing or empty Secret is filled`() {
        #expect(decide(nil) == .create(LinkKeys(current: Self.new)))
        #expect(decide(secret(current: nil)) == .write(LinkKeys(current: Self.new), .filled))
        #expect(decide(secret(current: [1, 2])) == .write(LinkKeys(current: Self.new), .filled))
    }

    @Test func `what still runs with a key that was deleted keeps it as the previous one`() {
        let last = LinkKeys(current: Self.old, previous: Self.older)
        let kept = LinkKeys(current: Self.new, previous: Self.old)
        #expect(decide(nil, last: last) == .create(kept))
        #expect(decide(secret(current: nil), last: last) == .write(kept, .filled))
    }

    @Test func `a key changes when its time is over, and the last one stays good`() {
        #expect(decide(secret(age: 30 * Self.day - 1)) == .nothing)
        #expect(
            decide(secret(previous: Self.older, age: 30 * Self.day))
                == .write(LinkKeys(current: Self.new, previous: Self.old), .due))
    }

    @Test func `it changes when asked, but not before everybody has seen the last change`() {
        let rotated = LinkKeyPlan.write(LinkKeys(current: Self.new, previous: Self.old), .asked)
        #expect(decide(secret(age: 60, asked: true)) == rotated)
        #expect(decide(secret(age: 29, asked: true)) == .nothing)
        #expect(decide(secret(age: nil, asked: true)) == rotated)
    }

    @Test func `without a time, or with one in the future, the time counts from now`() {
        #expect(decide(secret(age: nil)) == .stamp)
        #expect(decide(secret(age: -3600)) == .stamp)
        #expect(decide(secret(age: -10)) == .nothing)
    }

    @Test func `a patch takes the request back and is refused if somebody was faster`() throws {
        var secret = secret(asked: true)
        secret.metadata.resourceVersion = "7"
        let patch = LinkKeyPlan.patch(
            LinkKeys(current: Self.new, previous: Self.old), of: secret,
            now: Timestamp(secondsSinceEpoch: Self.now))
        #expect(patch.at("metadata", "resourceVersion") == "7")
        #expect(patch.at("metadata", "annotations", AnnotationKey.rotate) == .null)
        let written = try #require(patch.at("data", "current")?.text.flatMap { Data(base64Encoded: $0) })
        #expect(String(decoding: written, as: UTF8.self) == Digest.hex(Self.new))
    }

    @Test func `keys of a Secret are read as they are written`() {
        let keys = LinkKeys(current: Self.new, previous: Self.old)
        let made = LinkKeyPlan.secret("fathom-link", keys, now: Timestamp(secondsSinceEpoch: Self.now))
        #expect(LinkKeys(made) == keys)
        #expect("\(made)".contains(Digest.hex(Self.new)) == false)
    }
}
