import Controller
import FoundationEssentials
import Glibc

/// What the placement planner costs: everything from scratch, and one change; and what the controller keeps in memory.
enum PlanBenchmark {
    private static let clock = ContinuousClock()

    static func run(replicas: Int, workers: Int, passes: Int) throws -> Figures {
        // First, while nothing was taken and given back yet that could hide what it takes.
        let memory = try memory(replicas: replicas, workers: workers)
        var scratch: [Double] = []
        var worst = 0.0
        var changes: Figures = []
        var placement = MeasuredPlacement(replicas: replicas, workers: workers)
        var placed = 0
        for _ in 0..<max(1, passes) {
            placement = MeasuredPlacement(replicas: replicas, workers: workers)
            scratch.append(milliseconds { placed = placement.planFromScratch() })
        }
        let readBack = milliseconds { _ = placement.carryOut() }
        let firstLook = milliseconds { placement.change(.nothing, round: 0) }
        _ = placement.carryOut()
        let imbalance = placement.imbalance
        for change in MeasuredPlacement.Change.allCases {
            var times: [Double] = []
            for round in 1...25 {
                times.append(milliseconds { placement.change(change, round: round) })
                _ = placement.carryOut()
                // What a change brings about later, such as the end of a move, is not its own cost.
                placement.change(.nothing, round: round)
                _ = placement.carryOut()
            }
            times.sort()
            changes.append(("\(change.rawValue)_ms", times[times.count / 2]))
            worst = max(worst, times.last ?? 0)
        }
        return [
            ("replicas", Double(placed)), ("workers", Double(workers)),
            ("from_scratch_ms", scratch.min() ?? 0), ("from_scratch_slowest_ms", scratch.max() ?? 0),
            ("one_change_slowest_ms", worst), ("imbalance", imbalance), ("read_back_ms", readBack),
            ("first_look_ms", firstLook),
        ] + changes + memory
    }

    /// What a controller keeps of such a cluster, and one pass of it.
    private static func memory(replicas: Int, workers: Int) throws -> Figures {
        let before = residentBytes()
        var world = try MeasuredWorld(replicas: replicas, workers: workers)
        let bytes = residentBytes() - before
        var times = (0..<25).map { _ in milliseconds { _ = world.loseOneCopy() } }
        times.sort()
        return [
            ("controller_megabytes", Double(bytes) / 1e6),
            ("controller_bytes_per_replica", Double(bytes) / Double(max(1, world.copyCount))),
            ("pass_for_one_copy_ms", times[times.count / 2]),
            ("pass_for_one_copy_slowest_ms", times.last ?? 0),
        ]
    }

    private static func milliseconds(_ body: () -> Void) -> Double {
        clock.measure(body) / .microseconds(1) / 1000
    }

    private static func residentBytes() -> Int {
        guard let text = try? String(contentsOf: URL(filePath: "/proc/self/statm"), encoding: .utf8) else {
            return 0
        }
        let fields = text.split(separator: " ")
        return (fields.count > 1 ? Int(fields[1]) ?? 0 : 0) * Int(sysconf(Int32(_SC_PAGESIZE)))
    }
}
