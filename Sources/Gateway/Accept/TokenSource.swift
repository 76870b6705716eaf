internal import FoundationEssentials
internal import K8sClient
internal import Telemetry

/// Where a gateway has its tokens from, a file or a Secret; both may change at any time.
///
/// What cannot be read leaves the last tokens in force. A Secret that is deleted takes its tokens along.
struct TokenSource: Sendable {
    private enum Place: Sendable {
        case file(String)
        case secret(Informer<Secret>, String)
    }
    /// How often a file is looked at.
    private static let interval = Duration.seconds(1)
    private let place: Place
    private let tokens: Guarded<TokenList>
    private let log = Log("access")

    /// - Throws: `TokenList.Problem` if the file cannot be read now.
    init(file: String, into tokens: Guarded<TokenList>) throws {
        place = .file(file)
        self.tokens = tokens
        take(try Self.read(file))
    }

    init(secret name: String, client: KubernetesClient, into tokens: Guarded<TokenList>) {
        place = .secret(Informer(client: client, selector: .name(name), log: log), name)
        self.tokens = tokens
    }

    /// Follows changes until cancelled.
    ///
    /// A gateway that has not looked for its Secret yet would refuse tokens that are good, so it is not ready.
    func run(health: Health) async {
        switch place {
        case .file(let path): await follow(path)
        case .secret(let informer, let name):
            health.setUnready("tokens", "Secret \(name) has not been read yet")
            await withDiscardingTaskGroup { group in
                group.addTask { await informer.run() }
                group.addTask {
                    for await _ in informer.changes() where informer.isSynced {
                        take(informer[name], name)
                        health.setUnready("tokens", nil)
                    }
                }
            }
        }
    }

    private func take(_ secret: Secret?, _ name: String) {
        guard let secret else {
            log.warning("There is no Secret with tokens", ["secret": name])
            return tokens.withLock { $0 = TokenList() }
        }
        do throws(TokenList.Problem) { take(try TokenList(secret)) } catch {
            log.warning("Tokens cannot be read, the last ones stay", ["secret": name, "reason": "\(error)"])
        }
    }

    private func take(_ new: TokenList) {
        let isNews = tokens.withLock { tokens in
            defer { tokens = new }
            return tokens != new
        }
        guard isNews else { return }
        log.info("Tokens were read", ["read": "\(new.count(.read))", "manage": "\(new.count(.manage))"])
    }

    private func follow(_ path: String) async {
        var told: String?
        while !Task.isCancelled {
            do {
                take(try Self.read(path))
                told = nil
            } catch {
                let reason = "\(error)"
                if told != reason {
                    log.warning("Tokens cannot be read, the last ones stay", ["reason": reason])
                }
                told = reason
            }
            do { try await Task.sleep(for: Self.interval) } catch { return }
        }
    }

    private static func read(_ path: String) throws(TokenList.Problem) -> TokenList {
        guard let text = try? String(contentsOf: URL(filePath: path), encoding: .utf8) else {
            throw TokenList.Problem(description: "\(path): cannot be read as text")
        }
        do { return try TokenList(lines: text) } catch {
            throw TokenList.Problem(description: "\(path): \(error)")
        }
    }
}
