import Testing

@testable import LocalCluster

/// What the terminal says while books come up.
struct BookProgressTests {
    private func metrics(all: Int, ready: Int, waiting: Int = 0) -> String {
        """
        # HELP fathom_controller_depthcaches DepthCaches seen.
        fathom_controller_depthcaches \(all)
        fathom_controller_depthcaches_ready \(ready)
        fathom_weight_waiting_orders{group="default",pool="binance.com",urgency="first"} \(waiting)
        fathom_weight_waiting_orders{group="default",pool="binance.us",urgency="first"} 0
        fathom_weight_used{group="default",pool="binance.com"} 5085
        fathom_weight_limit{group="default",pool="binance.com"} 6000
        fathom_weight_limit{group="default",pool="binance.us"} 1200
        """
    }

    @Test func `many waiting books are told of every few seconds, and once more when all are there`() {
        var progress = BookProgress()
        #expect(progress.line(metrics(all: 200, ready: 195), now: .seconds(1)) == nil)
        #expect(
            progress.line(metrics(all: 200, ready: 120, waiting: 80), now: .seconds(2))
                == "120 of 200 books in sync, 80 requests wait for weight of binance.com (5085 of 6000 used in this minute) ..."
        )
        #expect(progress.line(metrics(all: 200, ready: 130), now: .seconds(4)) == nil)
        #expect(progress.line(metrics(all: 200, ready: 120), now: .seconds(8)) == nil)
        #expect(
            progress.line(metrics(all: 200, ready: 130), now: .seconds(8)) == "130 of 200 books in sync ...")
        #expect(progress.line(metrics(all: 200, ready: 199), now: .seconds(14)) == nil)
        #expect(
            progress.line(metrics(all: 200, ready: 200), now: .seconds(16)) == "200 of 200 books in sync.")
        #expect(progress.line(metrics(all: 200, ready: 200), now: .seconds(22)) == nil)
    }

    @Test func `text that is not metrics says nothing`() {
        var progress = BookProgress()
        #expect(progress.line("not found\n{} x\nfathom_controller_depthcaches nan", now: .zero) == nil)
    }
}
