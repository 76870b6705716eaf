import Binance
import DepthCacheAPI
import Testing

@testable import Controller

/// Workers and leaders that share one address, in random histories.
struct WeightSharingTests {
    /// Lets every worker want more than there is, for some minutes.
    private func flood(_ model: inout WeightSharingModel, minutes: Int) {
        for _ in 0..<minutes * 6 {
            for index in model.workers.indices { model.workers[index].waiting = [20, 300, 20] }
            model.run(milliseconds: 10_000)
        }
    }

    private func wholeMinutes(_ model: WeightSharingModel) -> [Int64] {
        Array(model.own.keys.sorted().dropFirst().dropLast())
    }

    @Test(arguments: [(6000, 1), (6000, 4), (2400, 3), (400, 2)])
    func `undisturbed, nearly all of the usable weight is used, and never more`(limit: Int, workers: Int) {
        var model = WeightSharingModel(
            seed: UInt64(limit + workers), limit: limit, workers: workers, faults: .init())
        flood(&model, minutes: 4)
        let usable = RequestWeight.allowance(limit)
        for minute in wholeMinutes(model) {
            let used = model.own[minute] ?? 0
            #expect(used <= usable)
            #expect(used >= usable * 95 / 100 - 50, "\(used) of \(usable)")
        }
        #expect(model.refusals == 0)
    }

    @Test(arguments: 0..<8)
    func
        `lost and delayed messages, restarts and changes of the leader never use more than the usable weight`(
            seed: Int
        )
    {
        let faults = WeightSharingModel.Faults(lostMessages: 0.05, restarts: 0.0002, pauses: 0.002)
        let workers = 1 + seed % 5
        var model = WeightSharingModel(seed: UInt64(seed), limit: 6000, workers: workers, faults: faults)
        flood(&model, minutes: 4)
        for (minute, used) in model.own {
            // Who has just started knows of no others: his free share is not in what was granted before.
            let free = RequestWeight.share(6000, workers: 1) * (model.starts[minute] ?? 0)
            #expect(used - (model.excused[minute] ?? 0) <= min(5100 + free, 6000))
        }
        #expect(model.refusals == 0)
    }

    @Test(arguments: 0..<8)
    func `with strangers and late requests too, the limit holds`(seed: Int) {
        let faults = WeightSharingModel.Faults(
            lostMessages: 0.02, restarts: 0.001, pauses: 0.002, lateRequests: 0.002, strangers: true)
        var model = WeightSharingModel(seed: UInt64(seed), limit: 6000, workers: 1 + seed % 5, faults: faults)
        flood(&model, minutes: 4)
        for highest in model.highest.values { #expect(highest <= 6000) }
        #expect(model.refusals == 0)
    }

    @Test func `after faults have ended the whole weight is used again`() {
        let faults = WeightSharingModel.Faults(lostMessages: 0.2, restarts: 0.002, pauses: 0.005)
        var model = WeightSharingModel(seed: 7, limit: 6000, workers: 3, faults: faults)
        flood(&model, minutes: 3)
        let since = model.now / 60_000 + 2
        model.faults = .init()
        flood(&model, minutes: 4)
        let minutes = wholeMinutes(model).filter { $0 >= since }
        #expect(minutes.count >= 2)
        for minute in minutes { #expect((model.own[minute] ?? 0) >= 4800, "\(model.own[minute] ?? 0)") }
    }
}
