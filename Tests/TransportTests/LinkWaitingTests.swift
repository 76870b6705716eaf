import Telemetry
import TestSupport
import Testing

@testable import Transport

/// Who waits for which answer, compared with a dictionary under numbers of its own.
struct LinkWaitingTests {
    @Test func `each request hears one end, its own, whatever ended before it in the same place`() {
        var random = SplitMix64(seed: 11)
        var waiting = LinkWaiting()
        let heard = Guarded<[Int: [LinkAnswer]]>([:])
        // What should happen: requests by number, with all that wait for each.
        var expected: [UInt64: [Int]] = [:]
        var dues: [UInt64: ContinuousClock.Instant] = [:]
        var ended: [UInt64] = []
        var told: [Int: [LinkAnswer]] = [:]
        let start = ContinuousClock.now
        func waiter(_ id: Int) -> LinkWaiting.Completion {
            { result in
                guard case .success(let answer) = result else { return }
                heard.withLock { $0[id, default: []].append(answer) }
            }
        }
        func finish(_ number: UInt64, _ answer: LinkAnswer) {
            for id in expected.removeValue(forKey: number) ?? [] { told[id, default: []].append(answer) }
            dues[number] = nil
            ended.append(number)
        }
        for step in 0..<20_000 {
            let answer = LinkAnswer(kind: 19, payload: [UInt8(step & 255), UInt8(step >> 8 & 255)])
            switch Int.random(in: 0..<20, using: &random) {
            case 0..<8:
                let due = start + .seconds(Int.random(in: 0..<1000, using: &random))
                let number = waiting.add(due: due, waiter(step))
                #expect(number != 0 && expected[number] == nil && !ended.suffix(500).contains(number))
                expected[number] = [step]
                dues[number] = due
            case 8..<11:
                guard let number = expected.keys.randomElement(using: &random) else { continue }
                let isJoined = waiting.join(number, waiter(step))
                #expect(isJoined)
                expected[number]?.append(step)
            case 11..<18:
                guard let number = expected.keys.randomElement(using: &random) else { continue }
                waiting.end(number)?.complete(.success(answer))
                finish(number, answer)
            case 18:
                // A second answer, and one that comes too late.
                guard let number = ended.randomElement(using: &random) else { continue }
                let isKnown = waiting.end(number) != nil || waiting.join(number, waiter(step))
                #expect(!isKnown)
            default:
                let now = start + .seconds(Int.random(in: 0..<60, using: &random))
                let late = dues.filter { $0.value <= now }.map(\.key)
                for end in waiting.endLate(now) { end.complete(.success(answer)) }
                for number in late { finish(number, answer) }
            }
            #expect(waiting.count == expected.count)
        }
        #expect(waiting.firstDue == dues.values.min())
        let last = LinkAnswer(kind: 19, payload: [])
        for end in waiting.endAll() { end.complete(.success(last)) }
        for number in Array(expected.keys) { finish(number, last) }
        #expect(waiting.count == 0 && waiting.firstDue == nil)
        #expect(heard.withLock { $0 } == told)
        #expect(!told.isEmpty)
    }
}
