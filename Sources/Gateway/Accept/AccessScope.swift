/// What a client may do: what reads changes nothing and costs the exchange nothing, everything else manages.
package enum AccessScope: String, Comparable, Sendable, CaseIterable {
    case none, read, manage

    package static func < (a: Self, b: Self) -> Bool { a.rank < b.rank }

    private var rank: Int {
        switch self {
        case .none: 0
        case .read: 1
        case .manage: 2
        }
    }
}
