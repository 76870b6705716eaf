/// The condition that a test waited for did not come true.
package struct NotInTime: Error, CustomStringConvertible {
    package var description: String
}

/// Waits until `condition` holds; the deadline is only for a test that fails.
package func eventually(
    _ what: String = "the condition", within deadline: Duration = .seconds(20),
    _ condition: () async throws -> Bool
) async throws {
    let end = ContinuousClock.now + deadline
    while !(try await condition()) {
        guard ContinuousClock.now < end else {
            throw NotInTime(description: "waited \(deadline) for \(what)")
        }
        try await Task.sleep(for: .milliseconds(5))
    }
}

/// Runs `body` with a deadline: a test that hangs fails instead.
package func withDeadline<Value: Sendable>(
    _ deadline: Duration = .seconds(30), _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await withThrowingTaskGroup(of: Value.self) { group in
        group.addTask { try await body() }
        group.addTask {
            try await Task.sleep(for: deadline)
            throw NotInTime(description: "not done after \(deadline)")
        }
        defer { group.cancelAll() }
        guard let first = try await group.next() else { throw CancellationError() }
        return first
    }
}
