/// Runs the controller until the task is cancelled or the leadership is lost.
package func runController(_ configuration: ControllerConfiguration) async throws {
    throw ControllerError("fathom controller is not built yet")
}
