import Books
import Testing

@testable import Worker

/// When a feed's events are too old, or too new, to be believed.
struct LatenessWatchTests {
    @Test func `three events in a row decide, in both directions`() {
        var watch = LatenessWatch()
        func saw(_ lateness: Int64...) -> [Bool] { lateness.map { watch.saw($0) } }
        #expect(saw(20, 5000, -5000, 20) == [false, false, false, false] && watch.fault == nil)
        #expect(saw(5001, 5001, 20, 5001, 5001) == [false, false, false, false, false])
        #expect(saw(9000) == [true] && watch.fault == .feedLate)
        #expect(saw(9000, 20, 20, 9000, 20, 20) == [false, false, false, false, false, false])
        #expect(saw(20) == [true] && watch.fault == nil)
        #expect(saw(-5001, -6000, -7000) == [false, false, true] && watch.fault == .clockSkew)
        #expect(saw(7000, 7000, 7000) == [false, false, true] && watch.fault == .feedLate)
    }

    @Test func `a fault that alternates with another is not one of them`() {
        var watch = LatenessWatch()
        for lateness: Int64 in [9000, -9000, 9000, -9000, 9000, -9000] {
            let hasChanged = watch.saw(lateness)
            #expect(!hasChanged)
        }
    }
}
