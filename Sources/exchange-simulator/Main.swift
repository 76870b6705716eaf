import Arguments
import CCoreAffinity
import Glibc

/// Reads the arguments and runs the simulator until somebody ends it.
@main enum Main {
    static func main() {
        do {
            let arguments = try ParsedArguments(
                Array(CommandLine.arguments.dropFirst()), for: Options.specification, environment: [:])
            if arguments.asksForHelp {
                write(Options.specification.help, to: 1)
                return
            }
            let options = try Options(arguments)
            if options.benchmarks {
                write(try SelfBenchmark(settings: options.engine).run() + "\n", to: 1)
                return
            }
            let end = EndWaiter()
            if let core = options.core, ccoreaffinity_stay_on(Int32(core)) != 0 {
                throw SimulatorError("--core: there is no core \(core) for us")
            }
            if options.isBurst {
                let tls = try SimulatorTLS(options.tlsDirectory)
                let server = try BurstServer(options, tls: tls.settings)
                server.start()
                write(Simulator.listeningLine(port: server.port, caFile: tls.caFile), to: 1)
                end.wait(lifeline: options.lifeline)
                return tls.removeTemporaryFiles()
            }
            let simulator = try Simulator(options)
            write(Simulator.listeningLine(port: simulator.port, caFile: simulator.caFile), to: 1)
            end.wait(lifeline: options.lifeline)
            simulator.stop()
        } catch {
            write("exchange-simulator: \(error)\n", to: 2)
            exit(2)
        }
    }

    /// Writes at once, past all buffers: somebody may be waiting for the line.
    private static func write(_ text: String, to descriptor: Int32) {
        let bytes = Array(text.utf8)
        _ = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
    }
}
