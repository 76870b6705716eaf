import Glibc

extension MetricRegistry {
    /// What every program tells of itself, under the names that Prometheus' own libraries use.
    package func addProcess(version: String) {
        gauge(
            "fathom_build_info", help: "1; the version of the program is its label.",
            labels: ["version": version]
        ).set(1)
        gauge(
            "process_start_time_seconds", help: "When the process started, in seconds since 1970."
        ).set(Self.wallSeconds.rounded())
        counter("process_cpu_seconds_total", help: "Processor time of all threads, in seconds.") {
            var usage = rusage()
            guard unsafe getrusage(RUSAGE_SELF.rawValue, &usage) == 0 else { return 0 }
            func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
            return seconds(usage.ru_utime) + seconds(usage.ru_stime)
        }
        gauge("process_resident_memory_bytes", help: "Memory of the process that is in RAM.") {
            Double(Self.residentPages * sysconf(Int32(_SC_PAGESIZE)))
        }
        gauge("process_open_fds", help: "Open file descriptors.") { Double(Self.openDescriptors) }
        gauge("process_max_fds", help: "The most file descriptors that may be open.") {
            var limit = rlimit()
            return unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0
                ? Double(limit.rlim_cur) : 0
        }
    }

    private static var wallSeconds: Double {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// The second number of `/proc/self/statm`.
    private static var residentPages: Int {
        let file = unsafe open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return 0 }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 128)
        let count = unsafe read(file, &bytes, bytes.count)
        let words = bytes.prefix(max(0, count)).split(separator: UInt8(ascii: " "))
        return words.dropFirst().first.flatMap { Int(String(decoding: $0, as: UTF8.self)) } ?? 0
    }

    private static var openDescriptors: Int {
        guard let folder = unsafe opendir("/proc/self/fd") else { return 0 }
        defer { unsafe closedir(folder) }
        var count = 0
        while unsafe readdir(folder) != nil { count += 1 }
        // Without `.`, `..` and the descriptor of the folder itself.
        return max(0, count - 3)
    }
}
