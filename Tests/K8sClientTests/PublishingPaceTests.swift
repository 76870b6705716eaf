import K8sClient
import Testing

@Suite struct PublishingPaceTests {
    @Test func `pictures are made at once in the calm, and take a tenth of the time in a storm`() {
        var pace = PublishingPace()
        #expect(pace.pause(after: .microseconds(200)) == .milliseconds(10))
        for _ in 0..<20 { #expect(pace.pause(after: .milliseconds(5)) <= .milliseconds(45)) }
        #expect(pace.pause(after: .milliseconds(5)) >= .milliseconds(44))
        for _ in 0..<20 { #expect(pace.pause(after: .seconds(1)) <= .milliseconds(250)) }
        for _ in 0..<20 { _ = pace.pause(after: .microseconds(200)) }
        #expect(pace.pause(after: .microseconds(200)) == .milliseconds(10), "and when it is calm again")
    }
}
