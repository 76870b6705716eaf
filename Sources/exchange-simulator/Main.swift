import Arguments
import Glibc

/// Reads the arguments and runs the simulator.
@main enum Main {
    static func main() async {
        let parsed: Options
        do {
            let arguments = try ParsedArguments(
                Array(CommandLine.arguments.dropFirst()), for: Options.specification, environment: [:])
            if arguments.asksForHelp {
                print(Options.specification.help, terminator: "")
                return
            }
            parsed = try Options(arguments)
            if parsed.benchmarks {
                print(try SelfBenchmark(settings: parsed.engine).run())
                return
            }
        } catch { fail(error) }
    }

    private static func fail(_ error: any Error) -> Never {
        let bytes = Array("exchange-simulator: \(error)\n".utf8)
        _ = unsafe bytes.withUnsafeBytes { unsafe write(2, $0.baseAddress, $0.count) }
        exit(2)
    }
}
