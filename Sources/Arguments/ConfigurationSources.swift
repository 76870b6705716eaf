/// Where values come from besides the command line; tests put in their own.
package struct ConfigurationSources: Sendable {
    package var environment: [String: String]
    /// All programs with a section in the file: their names are no unknown sections, their variables no unknown variables.
    package var programs: [CommandSpecification]
    /// The bytes of a file, or why there are none.
    package var read: @Sendable (_ path: String) -> Result<[UInt8], ArgumentError>

    package init(
        environment: [String: String], programs: [CommandSpecification] = [],
        read: @escaping @Sendable (_ path: String) -> Result<[UInt8], ArgumentError> = { path in
            .failure(ArgumentError("cannot read \(path)"))
        }
    ) {
        self.environment = environment
        self.programs = programs
        self.read = read
    }

    func isReadable(_ path: String) -> Bool { if case .success = read(path) { true } else { false } }
}
