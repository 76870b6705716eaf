import Arguments
import Testing

@testable import exchange_simulator

struct OptionsTests {
    private func options(_ arguments: String...) throws -> Options {
        try Options(ParsedArguments(arguments, for: Options.specification, environment: [:]))
    }

    @Test func `without arguments the documented defaults hold`() throws {
        let options = try options()
        #expect(options.port == 0)
        #expect(options.engine.symbolCount == 50)
        #expect(options.engine.ratePerSecond == 10)
        #expect(options.engine.changesPerEvent == 20)
        #expect(options.engine.depth >= 1000)
        #expect(options.recordings.isEmpty)
    }

    @Test func `recordings can be given several times`() throws {
        #expect(try options("--replay", "a", "--replay=binance.us=b").recordings == ["a", "binance.us=b"])
    }

    @Test(arguments: [
        ["--rate", "x"], ["--rate", "-1"], ["--rate", "nan"], ["--symbols", "-1"], ["--levels", "0"],
        ["--port", "65536"],
        ["--pace", "0"], ["--depth", "9"], ["--unknown"], ["--seed", "-1"], ["--lifeline-fd", "x"],
    ])
    func `values out of range are refused`(_ arguments: [String]) {
        #expect(throws: ArgumentError.self) {
            try Options(ParsedArguments(arguments, for: Options.specification, environment: [:]))
        }
    }
}
