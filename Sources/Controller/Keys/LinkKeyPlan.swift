internal import DepthCacheAPI
internal import FoundationEssentials
internal import K8sClient
internal import Transport

/// What to write into the Secret with the key of the links: pure; states and order are in `docs/link.md`.
enum LinkKeyPlan: Equatable {
    /// All is as it should be.
    case nothing
    /// There is no Secret.
    case create(LinkKeys)
    /// A key is filled in or takes the place of the current one.
    case write(LinkKeys, Cause)
    /// The time of the last change is missing or lies in the future: count from now.
    case stamp

    enum Cause: String, Equatable {
        case filled = "the Secret had no key"
        case due = "the key was in use for its time"
        case asked = "asked for by annotation"
    }

    /// How far ahead of ours the clock of whoever rotated last may be.
    private static let toleratedSkew: Int64 = 300

    /// So many seconds after a change everybody has seen it.
    private static let settling: Int64 = 30

    /// - Parameters:
    ///   - secret: as it is; nil: there is none.
    ///   - last: the keys that were in use last, which links may still be made with.
    ///   - interval: how long a key is the current one.
    ///   - now: seconds since 1970.
    ///   - fresh: makes a new key.
    /// - Returns: what to do.
    static func decide(
        _ secret: Secret?, last: LinkKeys?, interval: Int64, now: Int64, fresh: () throws -> [UInt8]
    ) rethrows -> LinkKeyPlan {
        guard let secret else {
            return .create(LinkKeys(current: try fresh(), previous: last?.current))
        }
        guard let keys = LinkKeys(secret) else {
            // Somebody emptied it: what runs still has the last key, so that one stays good.
            return .write(LinkKeys(current: try fresh(), previous: last?.current), .filled)
        }
        let rotated = LinkKeys(current: try fresh(), previous: keys.current)
        let isAsked = secret.metadata.annotations[AnnotationKey.rotate] != nil
        guard let since = rotatedAt(secret), since <= now + toleratedSkew else {
            return isAsked ? .write(rotated, .asked) : .stamp
        }
        // Two changes at once would leave those behind that have not seen the first.
        if isAsked, now - since >= settling { return .write(rotated, .asked) }
        return now - since >= interval ? .write(rotated, .due) : .nothing
    }

    private static func rotatedAt(_ secret: Secret) -> Int64? {
        secret.metadata.annotations[AnnotationKey.rotatedAt].flatMap { Timestamp($0) }?.secondsSinceEpoch
    }

    /// The merge patch that brings the Secret there, refused if somebody changed it meanwhile.
    static func patch(_ keys: LinkKeys?, of secret: Secret, now: Timestamp) -> JSONValue {
        var patch: JSONValue = [
            "metadata": [
                "resourceVersion": secret.metadata.resourceVersion.map { JSONValue.string($0) } ?? .null,
                "annotations": [AnnotationKey.rotatedAt: .string("\(now)")],
            ]
        ]
        guard let keys else { return patch }
        patch.set(["metadata", "annotations", AnnotationKey.rotate], to: .null)
        patch["data"] = [
            LinkKeys.currentKey: .string(text(keys.current).base64EncodedString()),
            LinkKeys.previousKey: keys.previous.map { JSONValue.string(text($0).base64EncodedString()) }
                ?? .null,
        ]
        return patch
    }

    /// The Secret to create.
    static func secret(_ name: String, _ keys: LinkKeys, now: Timestamp) -> Secret {
        var data = [LinkKeys.currentKey: text(keys.current)]
        data[LinkKeys.previousKey] = keys.previous.map(text)
        return Secret(
            metadata: ObjectMeta(
                name: name, labels: [LabelKey.applicationName: "fathom"],
                annotations: [AnnotationKey.rotatedAt: "\(now)"]),
            type: "Opaque", data: data)
    }

    private static func text(_ key: [UInt8]) -> Data { Data(Digest.hex(key).utf8) }
}
