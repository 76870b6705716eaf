import TestSupport
import Testing

@testable import Controller

/// Who uses which credentials.
@Suite struct CredentialPlannerTests {
    typealias State = CredentialState

    private func secret(_ name: String, _ group: String = "g", isUsable: Bool = true) -> State.Secret {
        State.Secret(name: name, group: group, isUsable: isUsable)
    }

    private func replica(_ name: String, _ worker: String, _ group: String = "g", _ secret: String? = nil)
        -> State.Replica
    {
        State.Replica(name: name, workerUID: worker, group: group, secret: secret)
    }

    /// `state` after the API has taken a plan's changes.
    private func carriedOut(_ plan: CredentialPlan, _ state: State) -> State {
        var state = state
        for change in plan.changes {
            for index in state.replicas.indices where state.replicas[index].name == change.replica {
                state.replicas[index].secret = change.secret
            }
        }
        return state
    }

    @Test func `workers get the Secret with the fewest workers, by name, the same for all their replicas`() {
        let state = State(
            secrets: [secret("b"), secret("a"), secret("x", "other")],
            replicas: [
                replica("r1", "w1"), replica("r2", "w1"), replica("r3", "w2"), replica("r4", "w3"),
                replica("r5", "w1", "other"), replica("r6", "w1", "none"),
            ])
        let plan = CredentialPlanner.plan(state)
        #expect(plan.assignments[.init(workerUID: "w1", group: "g")] == "a")
        #expect(plan.assignments[.init(workerUID: "w2", group: "g")] == "b")
        #expect(plan.assignments[.init(workerUID: "w3", group: "g")] == "a")
        #expect(plan.assignments[.init(workerUID: "w1", group: "other")] == "x")
        #expect(plan.assignments[.init(workerUID: "w1", group: "none")] == nil)
        #expect(plan.changes.count == 5)
        #expect(plan.readable == ["a", "b", "x"])
        #expect(plan.workers["a"] == ["w1", "w3"])
    }

    @Test func `an added Secret moves nobody, a removed one is withdrawn first and replaced after`() {
        var state = State(
            secrets: [secret("a")], replicas: [replica("r1", "w1", "g", "a"), replica("r2", "w2", "g", "a")])
        state.secrets.append(secret("b"))
        #expect(CredentialPlanner.plan(state).changes.isEmpty)

        state.secrets.removeFirst()
        var plan = CredentialPlanner.plan(state)
        #expect(plan.changes == [.init(replica: "r1", secret: nil), .init(replica: "r2", secret: nil)])
        #expect(plan.readable == ["b"])
        plan = CredentialPlanner.plan(carriedOut(plan, state))
        #expect(plan.changes == [.init(replica: "r1", secret: "b"), .init(replica: "r2", secret: "b")])
    }

    @Test func `a Secret in use stays readable until its last replica lets it go`() {
        let state = State(
            secrets: [secret("a", isUsable: false), secret("b")], replicas: [replica("r1", "w1", "g", "a")])
        let plan = CredentialPlanner.plan(state)
        #expect(plan.readable == ["a", "b"])
        #expect(CredentialPlanner.plan(carriedOut(plan, state)).readable == ["b"])
    }

    @Test func `a name that somebody wrote into a replica opens no Secret that is not ours`() {
        let plan = CredentialPlanner.plan(
            State(secrets: [secret("a")], replicas: [replica("r1", "w1", "g", "database-password")]))
        #expect(plan.readable == ["a"])
        #expect(plan.changes == [.init(replica: "r1", secret: nil)])
    }

    @Test(arguments: 0..<300) func `whatever happens, plans are legal, stable and fair`(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let groups = ["g", "h"]
        var state = State()
        for step in 0..<12 {
            change(&state, groups, step, &random)
            // Two passes settle everything: one withdraws, the next one assigns.
            for _ in 0..<2 {
                let plan = CredentialPlanner.plan(state)
                let ours = Set(state.secrets.map(\.name))
                #expect(ours.isSuperset(of: plan.readable))
                for change in plan.changes {
                    let before = state.replicas.first { $0.name == change.replica }?.secret
                    #expect(
                        before == nil || change.secret == nil,
                        "one Secret took the place of another in one step")
                }
                let next = carriedOut(plan, state)
                #expect(Set(next.replicas.compactMap(\.secret)).isSubset(of: plan.readable))
                state = next
            }
            let settled = CredentialPlanner.plan(state)
            #expect(settled.changes.isEmpty)
            for replica in state.replicas {
                let fitting = state.secrets.filter { $0.group == replica.group && $0.isUsable }.map(\.name)
                #expect(replica.secret.map(fitting.contains) ?? fitting.isEmpty)
            }
            for (_, copies) in Dictionary(grouping: state.replicas, by: { "\($0.workerUID) \($0.group)" }) {
                #expect(Set(copies.map(\.secret)).count == 1)
            }
            #expect(CredentialPlanner.plan(shuffled(state, &random)) == settled)
        }
    }

    @Test(arguments: 0..<100) func `dealt from scratch, no Secret has two workers more than another`(
        seed: UInt64
    ) {
        var random = SplitMix64(seed: seed)
        let secrets = (0..<Int.random(in: 1...5, using: &random)).map { secret("s\($0)") }
        let replicas = (0..<Int.random(in: 0...40, using: &random)).map { index in
            replica("r\(index)", "w\(Int.random(in: 0..<12, using: &random))")
        }
        let plan = CredentialPlanner.plan(State(secrets: secrets, replicas: replicas))
        let counts = secrets.map { plan.workers[$0.name]?.count ?? 0 }
        #expect((counts.max() ?? 0) - (counts.min() ?? 0) <= 1)
    }

    private func change(
        _ state: inout State, _ groups: [String], _ step: Int, _ random: inout SplitMix64
    ) {
        func group(_ random: inout SplitMix64) -> String { groups[Int.random(in: 0..<2, using: &random)] }
        switch Int.random(in: 0..<6, using: &random) {
        case 0: state.secrets.append(secret("s\(step)", group(&random)))
        case 1 where !state.secrets.isEmpty:
            state.secrets.remove(at: Int.random(in: 0..<state.secrets.count, using: &random))
        case 2 where !state.secrets.isEmpty:
            state.secrets[Int.random(in: 0..<state.secrets.count, using: &random)].isUsable.toggle()
        case 3 where !state.replicas.isEmpty:
            state.replicas.remove(at: Int.random(in: 0..<state.replicas.count, using: &random))
        case 4 where !state.replicas.isEmpty:
            let index = Int.random(in: 0..<state.replicas.count, using: &random)
            state.replicas[index].secret = ["s0", "stranger", nil][Int.random(in: 0..<3, using: &random)]
        default:
            let worker = "w\(Int.random(in: 0..<4, using: &random))"
            state.replicas.append(replica("r\(step)", worker, group(&random)))
        }
    }

    private func shuffled(_ state: State, _ random: inout SplitMix64) -> State {
        State(
            secrets: state.secrets.shuffled(using: &random), replicas: state.replicas.shuffled(using: &random)
        )
    }
}
