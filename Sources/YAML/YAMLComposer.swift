/// Builds trees from events, within limits.
///
/// Aliases are copies; their nodes are counted each time, which bounds the "billion laughs".
final class YAMLComposer {
    private let events: YAMLEvents
    private let limits: YAMLLimits
    private var anchors: [String: (value: YAMLValue, nodes: Int, depth: Int)] = [:]
    private var nodes = 0
    private var deepest = 0

    init(_ events: YAMLEvents, _ limits: YAMLLimits) {
        self.events = events
        self.limits = limits
    }

    func documents() throws(YAMLError) -> [YAMLValue] {
        var found: [YAMLValue] = []
        while true {
            let event = try events.next()
            switch event.kind {
            case .streamEnd, .none: return found
            case .documentStart:
                anchors = [:]
                found.append(try node(try events.next(), depth: 0))
            default: break
            }
        }
    }

    private func count(_ more: Int, _ event: YAMLEvent) throws(YAMLError) {
        nodes += more
        guard nodes <= limits.nodes else {
            throw error("the document has more than \(limits.nodes) nodes", event)
        }
    }

    private func error(_ message: String, _ event: YAMLEvent) -> YAMLError {
        YAMLError(message: message, line: event.line, column: event.column)
    }

    private func node(_ event: YAMLEvent, depth: Int) throws(YAMLError) -> YAMLValue {
        guard depth <= limits.depth else { throw error("nested deeper than \(limits.depth)", event) }
        deepest = max(deepest, depth)
        let before = nodes
        try count(1, event)
        switch event.kind {
        case .alias(let name):
            guard let known = anchors[name] else { throw error("unknown alias \"\(name)\"", event) }
            try count(known.nodes - 1, event)
            guard depth + known.depth <= limits.depth else {
                throw error("nested deeper than \(limits.depth)", event)
            }
            deepest = max(deepest, depth + known.depth)
            return known.value
        case .scalar(let text, let isPlain, let tag, let anchor):
            let value = try scalar(text, isPlain, tag, event)
            if let anchor { anchors[anchor] = (value, 1, 0) }
            return value
        case .sequenceStart(let anchor):
            return try collection(anchor, before, depth) { () throws(YAMLError) in try sequence(depth) }
        case .mappingStart(let anchor):
            return try collection(anchor, before, depth) { () throws(YAMLError) in try mapping(depth) }
        default: throw error("expected a value", event)
        }
    }

    /// Remembers size and depth of an anchored collection; an alias inside itself stays unknown.
    private func collection(
        _ anchor: String?, _ before: Int, _ depth: Int, _ read: () throws(YAMLError) -> YAMLValue
    ) throws(YAMLError) -> YAMLValue {
        let outer = deepest
        deepest = depth
        let value = try read()
        if let anchor { anchors[anchor] = (value, nodes - before, deepest - depth) }
        deepest = max(outer, deepest)
        return value
    }

    private func sequence(_ depth: Int) throws(YAMLError) -> YAMLValue {
        var values: [YAMLValue] = []
        while true {
            let event = try events.next()
            if event.kind == .sequenceEnd { return .sequence(values) }
            values.append(try node(event, depth: depth + 1))
        }
    }

    private func mapping(_ depth: Int) throws(YAMLError) -> YAMLValue {
        var entries: [YAMLValue.Entry] = []
        var seen: Set<String> = []
        while true {
            let event = try events.next()
            if event.kind == .mappingEnd { return .mapping(entries) }
            let key = try key(event)
            guard seen.insert(key).inserted else { throw error("duplicate key \"\(key)\"", event) }
            entries.append(YAMLValue.Entry(key: key, value: try node(try events.next(), depth: depth + 1)))
        }
    }

    /// Keys are kept as they are written: JSON, which everything becomes, has no others.
    private func key(_ event: YAMLEvent) throws(YAMLError) -> String {
        switch event.kind {
        case .scalar("<<", true, _, _): throw error("merge keys are not supported", event)
        case .scalar(let text, _, _, let anchor):
            if let anchor { anchors[anchor] = (.string(text), 1, 0) }
            return text
        case .alias(let name):
            guard case .string(let text)? = anchors[name]?.value else {
                throw error("alias \"\(name)\" is not a key", event)
            }
            return text
        default: throw error("a key must be a scalar", event)
        }
    }

    private func scalar(
        _ text: String, _ isPlain: Bool, _ tag: String?, _ event: YAMLEvent
    ) throws(YAMLError) -> YAMLValue {
        switch tag {
        case nil: return isPlain ? CoreSchema.value(of: text) : .string(text)
        case "!", "tag:yaml.org,2002:str": return .string(text)
        case "tag:yaml.org,2002:null": return .null
        case "tag:yaml.org,2002:bool", "tag:yaml.org,2002:int", "tag:yaml.org,2002:float":
            let value = CoreSchema.value(of: text)
            switch (tag, value) {
            case ("tag:yaml.org,2002:float", .int(let whole)): return .double(Double(whole))
            case (_, .string), (_, .null): throw error("\"\(text)\" is not what its tag says", event)
            default: return value
            }
        case .some(let tag): throw error("unknown tag \"\(tag)\"", event)
        }
    }
}
