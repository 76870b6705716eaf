internal import K8sClient
internal import Transport

/// The bearer tokens that a gateway knows, as digests: a token itself is kept nowhere.
struct TokenList: Equatable, Sendable {
    /// What is wrong with a list of tokens; never says what stands there.
    struct Problem: Error, Equatable, CustomStringConvertible {
        var description: String
    }
    private struct Entry: Equatable {
        var scope: AccessScope
        var digest: [UInt8]
    }
    private var entries: [Entry] = []
    /// Shorter ones could be guessed.
    static let leastBytes = 16
    static let mostTokens = 256
    private static let digestPrefix = "sha256:"

    init() {}

    /// Reads lines of a scope and a token, such as `manage 4f1c…`.
    ///
    /// After `sha256:` stands the token's digest in hex. `#` at the beginning of a word begins a comment; inside a token it
    /// is one of its characters.
    init(lines text: String) throws(Problem) {
        for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
            .enumerated()
        {
            let words = line.split(whereSeparator: \.isWhitespace).prefix { !$0.hasPrefix("#") }
            guard !words.isEmpty else { continue }
            let scope = AccessScope(rawValue: String(words[0]))
            guard words.count == 2, let scope, scope != .none else {
                throw Problem(description: "line \(index + 1): expected 'read TOKEN' or 'manage TOKEN'")
            }
            try add(scope, words[1], at: "line \(index + 1)")
        }
    }

    /// The keys `read` and `manage` of a Secret, each with one token or with several on lines of their own.
    init(_ secret: Secret) throws(Problem) {
        for scope in [AccessScope.read, .manage] where secret.data[scope.rawValue] != nil {
            let place = "key \"\(scope.rawValue)\""
            guard let text = secret.text(scope.rawValue) else {
                throw Problem(description: "\(place): expected text")
            }
            for word in text.split(whereSeparator: \.isWhitespace) { try add(scope, word, at: place) }
        }
        guard !entries.isEmpty else {
            throw Problem(description: "expected a token under the key \"manage\" or \"read\"")
        }
    }

    private mutating func add(_ scope: AccessScope, _ text: Substring, at place: String) throws(Problem) {
        guard entries.count < Self.mostTokens else {
            throw Problem(description: "\(place): expected at most \(Self.mostTokens) tokens")
        }
        if text.hasPrefix(Self.digestPrefix) {
            guard let digest = Digest.bytes(hex: text.dropFirst(Self.digestPrefix.count)), digest.count == 32
            else { throw Problem(description: "\(place): expected 64 hex digits after \(Self.digestPrefix)") }
            return entries.append(Entry(scope: scope, digest: digest))
        }
        guard text.utf8.count >= Self.leastBytes, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw Problem(
                description: "\(place): expected a token of at least \(Self.leastBytes) ASCII characters")
        }
        entries.append(Entry(scope: scope, digest: Digest.sha256(Array(text.utf8))))
    }

    func count(_ scope: AccessScope) -> Int { entries.count { $0.scope == scope } }

    /// What the token allows, `none` if it is unknown; takes the same time wherever it stands and whatever it is.
    func scope(of token: Substring) -> AccessScope {
        let digest = Digest.sha256(Array(token.utf8))
        var found = AccessScope.none
        for entry in entries {
            let isSame = Digest.areEqual(entry.digest, digest)
            if isSame, entry.scope > found { found = entry.scope }
        }
        return found
    }
}
