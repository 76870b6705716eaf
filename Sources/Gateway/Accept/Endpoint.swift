internal import DepthCacheAPI

/// What clients can ask for.
enum Endpoint: Int, CaseIterable, Sendable {
    case getAsks, getBids, list, depthCache, cluster, create, createMany, stop, test
    case credentials, addCredentials, removeCredentials

    init?(path: String) {
        switch path {
        case "/get_asks": self = .getAsks
        case "/get_bids": self = .getBids
        case "/get_depthcache_list": self = .list
        case "/get_depthcache_info": self = .depthCache
        case "/get_cluster_info": self = .cluster
        case "/create_depthcache": self = .create
        case "/create_depthcaches": self = .createMany
        case "/stop_depthcache": self = .stop
        case "/test": self = .test
        case "/get_credentials_list", "/ubdcc_get_credentials_list": self = .credentials
        case "/add_credentials", "/ubdcc_add_credentials": self = .addCredentials
        case "/remove_credentials", "/ubdcc_remove_credentials": self = .removeCredentials
        default: return nil
        }
    }

    /// The constant `event` of the answers; in lower case the metric label.
    var event: String {
        switch self {
        case .getAsks: "GET_ASKS"
        case .getBids: "GET_BIDS"
        case .list: "GET_DEPTHCACHE_LIST"
        case .depthCache: "GET_DEPTHCACHE_INFO"
        case .cluster: "GET_CLUSTER_INFO"
        case .create: "CREATE_DEPTHCACHE"
        case .createMany: "CREATE_DEPTHCACHES"
        case .stop: "STOP_DEPTHCACHE"
        case .test: "TEST"
        case .credentials: "GET_CREDENTIALS_LIST"
        case .addCredentials: "ADD_CREDENTIALS"
        case .removeCredentials: "REMOVE_CREDENTIALS"
        }
    }

    var methods: [String] {
        switch self {
        case .create, .createMany, .addCredentials, .removeCredentials: Self.both
        default: Self.get
        }
    }
    private static let get = ["GET"]
    private static let both = ["GET", "POST"]

    var changesState: Bool {
        switch self {
        case .create, .createMany, .stop, .addCredentials, .removeCredentials: true
        default: false
        }
    }

    /// The id that says: a parameter of this endpoint is missing, or cannot be read.
    var parameterError: ErrorID {
        switch self {
        case .depthCache: .missingInfoParameter
        case .create, .createMany: .missingCreateParameter
        case .stop: .missingStopParameter
        default: .badQueryParameter
        }
    }
}
