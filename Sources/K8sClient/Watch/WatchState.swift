/// Where a list-and-watch stands.
///
/// Each case carries all it needs, so no field can be stale.
package enum WatchState: Equatable, Sendable {
    case mustList
    case listing(continueToken: String)
    case mustWatch(resourceVersion: String)
    case watching(resourceVersion: String)

    /// What the API server said.
    package enum Input: Equatable, Sendable {
        case page(resourceVersion: String, continueToken: String?)
        case opened
        case object(resourceVersion: String)
        case bookmark(resourceVersion: String)
        case closed
        case failed(code: Int)
    }

    /// The next state; pure, so every row of the table is one line of a test.
    package func after(_ input: Input) -> WatchState {
        switch (self, input) {
        case (_, .failed(410)): .mustList  // our version is gone: start over
        case (.mustList, .page(_, let token?)), (.listing, .page(_, let token?)):
            .listing(continueToken: token)
        case (.mustList, .page(let version, nil)), (.listing, .page(let version, nil)):
            .mustWatch(resourceVersion: version)
        case (.mustWatch(let version), .opened): .watching(resourceVersion: version)
        case (.watching, .object(let version)), (.watching, .bookmark(let version)):
            .watching(resourceVersion: version)
        case (.watching(let version), .closed), (.watching(let version), .failed):
            .mustWatch(resourceVersion: version)
        case (.listing, .failed): .mustList  // half a list is none
        default: self
        }
    }
}

/// One line of a watch.
package enum WatchEvent: Equatable, Sendable {
    case added(JSONValue)
    case modified(JSONValue)
    case deleted(JSONValue)
    case bookmark(resourceVersion: String)
    /// The API says in-band why it ends the watch.
    case failed(Status)

    package init(line: [UInt8]) throws(JSONError) {
        let value = try JSONValue(parsing: line)
        guard let type = value["type"]?.text, let object = value["object"] else {
            throw JSONError("a watch event needs type and object")
        }
        switch type {
        case "ADDED": self = .added(object)
        case "MODIFIED": self = .modified(object)
        case "DELETED": self = .deleted(object)
        case "BOOKMARK":
            guard let version = object.at("metadata", "resourceVersion")?.text else {
                throw JSONError("a bookmark needs a resourceVersion")
            }
            self = .bookmark(resourceVersion: version)
        case "ERROR": self = .failed(try object.decode(Status.self))
        default: throw JSONError("unknown watch event type \"\(type)\"")
        }
    }
}
