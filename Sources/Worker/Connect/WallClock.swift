import Glibc

/// The calendar, for what is shown to people or compared with an exchange's times; never for waiting.
enum WallClock {
    static var milliseconds: Int64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }
}
