import TestSupport
import Testing

@testable import Gateway

/// Who is asked next, on random histories of answers and links, against a list that knows everything.
struct CopyAttemptsTests {
    private enum Standing { case waiting, asked, behind, over }

    private static func route(_ number: Int) -> ReplicaRoute {
        let worker = WorkerPicture(
            uid: "w\(number)", name: "worker-\(number)", address: "127.0.0.1", port: 1, incarnation: "one")
        let replica = ReplicaPicture(
            name: "r\(number)", cacheUID: "1", workerUID: worker.uid, workerName: worker.name,
            isSynchronized: true, incarnation: "one")
        return ReplicaRoute(replica: replica, worker: worker)
    }

    private static let scripts: [LinkScript] = [
        .silent, .silent, .keeps(isSuspect: true), .connecting, .unreachable("gone"),
    ]

    @Test(arguments: 0..<200 as Range<UInt64>) func `each copy stands as what became of it says`(seed: UInt64)
    {
        var random = SplitMix64(seed: seed)
        var links = (0..<Int.random(in: 1...4, using: &random)).map { _ in
            ScriptedLink(Self.scripts.randomElement(using: &random) ?? .silent)
        }
        let turn = Int.random(in: 0..<9, using: &random)
        let routes = links.indices.map(Self.route)
        var model: [Standing]
        var askedOrder: [Int] = []
        let attempts: CopyAttempts
        if links.allSatisfy({ $0.condition == .up }), Bool.random(using: &random) {
            attempts = CopyAttempts(routes, links: links, turn: turn, asked: links[turn % links.count])
            model = links.map { _ in .waiting }
            model[turn % links.count] = .asked
            askedOrder = [turn % links.count]
        } else {
            attempts = CopyAttempts(routes, links: links, turn: turn) { _ in false }
            model = links.map { $0.condition == .down ? .over : .waiting }
        }
        for _ in 0..<40 {
            switch Int.random(in: 0..<7, using: &random) {
            case 0, 1:
                guard let next = attempts.next else { break }
                #expect(attempts.ask(next) === links[next])
                model[next] = .asked
                askedOrder.append(next)
            case 2:
                guard let place = askedOrder.randomElement(using: &random) else { break }
                askedOrder.removeAll { $0 == place }
                model[place] = Bool.random(using: &random) ? .over : .behind
                if model[place] == .over { attempts.fail(place, "bad") } else { attempts.fallBehind(place) }
            case 3:
                attempts.askAgain()
                for place in model.indices where model[place] == .behind { model[place] = .waiting }
            case 4:
                guard links.count < 6 else { break }
                let link = ScriptedLink(Self.scripts.randomElement(using: &random) ?? .silent)
                let isThere = Bool.random(using: &random)
                let found = (0...links.count).map(Self.route)
                #expect(attempts.add(found) { _ in isThere ? link : nil })
                #expect(!attempts.add(found) { _ in link })
                links.append(link)
                model.append(isThere ? .waiting : .over)
            default:
                links.randomElement(using: &random)?.script =
                    Self.scripts.randomElement(using: &random) ?? .silent
            }
            compare(attempts, model, links, askedOrder)
        }
        let failed = attempts.failures
        attempts.conclude(silentFor: 5, spared: "spared")
        #expect(Array(attempts.failures.prefix(failed.count)) == failed)
        #expect(attempts.failures.map(\.index).sorted() == Array(model.indices))
        for failure in attempts.failures.dropFirst(failed.count) {
            #expect((failure.detail == "no answer within 5 ms") == (model[failure.index] == .asked))
        }
    }

    private func compare(
        _ attempts: CopyAttempts, _ model: [Standing], _ links: [ScriptedLink], _ askedOrder: [Int]
    ) {
        let waiting = model.indices.filter { model[$0] == .waiting }
        let reachable = waiting.filter { [.up, .suspect].contains(links[$0].condition) }
        if let next = attempts.next {
            #expect(reachable.contains(next))
        } else {
            #expect(reachable.isEmpty)
        }
        #expect(attempts.spareCount == reachable.count)
        #expect(attempts.hasHealthyOther == waiting.contains { links[$0].condition == .up })
        #expect(attempts.isConnecting == waiting.contains { links[$0].condition == .connecting })
        #expect(attempts.isAnswerDue == !askedOrder.isEmpty)
        #expect(attempts.latest == askedOrder.last)
        #expect(attempts.isSomeoneBehind == model.contains(.behind))
    }

    @Test func `the best links are asked first, and those that were behind after all others`() {
        let links = [.connecting, .keeps(isSuspect: true), .silent, .silent].map { ScriptedLink($0) }
        let attempts = CopyAttempts(links.indices.map(Self.route), links: links, turn: 3) { _ in false }
        var asked: [Int] = []
        while let next = attempts.next {
            asked.append(next)
            _ = attempts.ask(next)
        }
        #expect(asked == [3, 2, 1])
        attempts.fallBehind(2)
        attempts.askAgain()
        links[0].script = .silent
        #expect(attempts.next == 0)
        _ = attempts.ask(0)
        #expect(attempts.next == 2)
    }

    @Test func `of several things that are wrong with a copy the last is told`() {
        let links = [ScriptedLink(.silent), ScriptedLink(.unreachable("refused"))]
        let attempts = CopyAttempts(links.indices.map(Self.route), links: links, turn: 1) { _ in false }
        #expect(attempts.failures == [ReplicaFailure(index: 1, detail: "refused")])
        attempts.note(0, "silent")
        attempts.fail(0, "lost")
        #expect(attempts.failures.last == ReplicaFailure(index: 0, detail: "lost"))
        #expect(attempts.failures.count == 2)
    }
}
