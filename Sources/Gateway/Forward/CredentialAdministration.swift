internal import DepthCacheAPI
internal import K8sClient

/// Adds and removes exchange credentials, as Secrets; there is one only where the endpoints are on.
struct CredentialAdministration: Sendable {
    typealias Members = [(String, JSONFragment)]
    var directory: ClusterDirectory
    var store: any CredentialStore

    /// As many as the masked list can hold, with much to spare.
    static let limit = 256

    func carryOut(_ request: CredentialRequest) async -> Members {
        switch request {
        case .add(let group, let key, let secret): await add(group, key, secret)
        case .remove(let id): await remove(id)
        }
    }

    private func add(_ group: String, _ key: String, _ value: String) async -> Members {
        let event = Endpoint.addCredentials.event
        let secret = ExchangeCredentials.secret(group: group, key: key, secret: value)
        if let problem = ExchangeCredentials.problem(
            in: secret, knownGroups: Set(CredentialRequest.accountGroups))
        {
            return Envelope.error(.credentialRefused, event, "The credentials cannot be used: \(problem)")
        }
        guard directory.table.picture.credentials.count < Self.limit else {
            return Envelope.error(.credentialRefused, event, "There are \(Self.limit) credentials already")
        }
        do throws(StoreError) {
            let kept = try await store.create(secret)
            if let entry = CredentialPicture(ExchangeCredentials.entry(of: kept)) {
                await directory.noteCredentials(added: entry)
            }
            return Envelope.ok(event, [("id", JSONFragment(kept.metadata.name ?? ""))])
        } catch {
            return Self.failure(error, event)
        }
    }

    private func remove(_ id: String) async -> Members {
        let event = Endpoint.removeCredentials.event
        guard ExchangeCredentials.isOwn(name: id) else {
            guard directory.table.picture.credentials.contains(where: { $0.id == id }) else {
                return Self.unknown(event)
            }
            let message = "This Secret was not made by Fathom; whoever made it can delete it"
            return Envelope.error(.credentialRefused, event, message)
        }
        do throws(StoreError) {
            let wasThere = try await store.delete(id)
            await directory.noteCredentials(removed: id)
            return wasThere ? Envelope.ok(event) : Self.unknown(event)
        } catch {
            return Self.failure(error, event)
        }
    }

    private static func unknown(_ event: String) -> Members {
        Envelope.error(.credentialNotFound, event, "There are no credentials with this id")
    }

    private static func failure(_ error: StoreError, _ event: String) -> Members {
        if case .unavailable(let reason) = error { return CacheAdministration.unavailable(event, reason) }
        return Envelope.error(.credentialRefused, event, "The Kubernetes API has refused it: \(error)")
    }
}

extension Dispatcher {
    func changeCredentials(
        _ request: GatewayRequest, _ endpoint: Endpoint, _ reply: @escaping @Sendable (GatewayReply) -> Void
    ) {
        // A URL is repeated in `debug`, and somebody may have written a secret into it.
        let request = request.hidingQuery()
        let body = try? JSONValue(parsing: request.body)
        let wantsDebug = request.wantsDebug || body?["debug"]?.meansTrue == true
        let postBody = wantsDebug && request.method == "POST" ? CredentialRequest.shown(body) : nil
        guard let administration = service.credentials else {
            let message = "Credential endpoints are off here; the setting credential-endpoints turns them on"
            let members = Envelope.error(.credentialRefused, endpoint.event, message)
            return finish(request, endpoint, .refused, members, postBody: postBody, reply)
        }
        do throws(CredentialProblem) {
            let change = try CredentialRequest(request, endpoint, body: body)
            Task {
                let members = await administration.carryOut(change)
                finish(request, endpoint, RequestOutcome(members), members, postBody: postBody, reply)
            }
        } catch {
            let members = Envelope.error(error.id, endpoint.event, error.message)
            finish(request, endpoint, .badRequest, members, postBody: postBody, reply)
        }
    }
}
