/// What the terminal says while many books wait for their first copy; pure: the controller's metrics in, lines out.
struct BookProgress {
    /// Fewer are not worth a line: they are there before it is read.
    static let worthSaying = 10
    private static let interval: Duration = .seconds(5)

    private var said: (at: Duration, ready: Int)?

    /// A line to say now, if there is one; `metrics` is the text of the controller's `/metrics`.
    mutating func line(_ metrics: String, now: Duration) -> String? {
        let samples = metrics.split(separator: "\n").compactMap(Sample.init)
        func sum(_ name: String, _ labels: String...) -> Int {
            samples.reduce(0) { sum, sample in
                let fits = sample.name == name && labels.allSatisfy { sample.labels.contains($0) }
                return fits ? sum + sample.value : sum
            }
        }
        let (all, ready) = (sum("fathom_controller_depthcaches"), sum("fathom_controller_depthcaches_ready"))
        guard all - ready >= Self.worthSaying else {
            guard said != nil, ready >= all else { return nil }
            said = nil
            return "\(ready) of \(all) books in sync."
        }
        if let said, now - said.at < Self.interval || said.ready == ready { return nil }
        said = (now, ready)
        var line = "\(ready) of \(all) books in sync"
        let pools = samples.filter { $0.name == "fathom_weight_waiting_orders" && $0.value > 0 }
        for pool in Set(pools.compactMap(\.pool)).sorted() {
            let label = "pool=\"\(pool)\""
            let (used, limit) = (sum("fathom_weight_used", label), sum("fathom_weight_limit", label))
            line += ", \(sum("fathom_weight_waiting_orders", label)) requests wait for weight of \(pool)"
            line += " (\(used) of \(limit) used in this minute)"
        }
        return line + " ..."
    }

    /// One line of metrics with a whole number.
    private struct Sample {
        var name, labels: Substring
        var value: Int

        init?(_ line: Substring) {
            guard !line.hasPrefix("#"), let space = line.lastIndex(of: " "),
                let number = Double(line[line.index(after: space)...]), let value = Int(exactly: number)
            else { return nil }
            let series = line[..<space]
            let brace = series.firstIndex(of: "{") ?? series.endIndex
            (name, labels, self.value) = (series[..<brace], series[brace...], value)
        }

        var pool: String? {
            labels.split(separator: "pool=\"", maxSplits: 1).dropFirst().first.flatMap {
                $0.split(separator: "\"", maxSplits: 1, omittingEmptySubsequences: false).first.map(
                    String.init)
            }
        }
    }
}

extension Supervisor {
    /// Says how far the books are, while many of them wait.
    func tellProgress() async {
        var progress = BookProgress()
        let began = ContinuousClock.now
        let url = "http://\(plan.configuration.authority(plan.ports.controller))/metrics"
        while !stopped {
            if let metrics = await api.text(url: url),
                let line = progress.line(metrics, now: began.duration(to: .now))
            {
                Terminal.say(line)
            }
            for _ in 0..<20 where !stopped { try? await Task.sleep(for: .milliseconds(100)) }
        }
    }
}
