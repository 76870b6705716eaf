import FoundationEssentials
import Glibc

/// What the host of a virtual machine has taken of a core for others, as the kernel tells it in `/proc/stat`.
///
/// A program that is always ready to run cannot use what was taken: its time on a core says what it costs, and its pace says
/// what this machine gave it.
enum StolenTime {
    /// Seconds since the machine's start; nil where the kernel does not tell.
    static func seconds(core: Int) -> Double? {
        guard let text = try? String(contentsOf: URL(filePath: "/proc/stat"), encoding: .utf8) else {
            return nil
        }
        return ticks(core: core, in: text).map { $0 / Double(sysconf(Int32(_SC_CLK_TCK))) }
    }

    /// The eighth number of the core's line (proc(5): user, nice, system, idle, iowait, irq, softirq, steal).
    private static func ticks(core: Int, in text: String) -> Double? {
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.first == "cpu\(core)", words.count > 8 { return Double(words[8]) }
        }
        return nil
    }
}
