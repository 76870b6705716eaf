import K8sClient
import CSQLite

/// A value bound to or read from a column.
enum Column: Equatable {
    case integer(Int64)
    case text(String)
    case bytes([UInt8])
    case null

    var integer: Int64? { if case .integer(let value) = self { value } else { nil } }
    var text: String? { if case .text(let value) = self { value } else { nil } }
    var bytes: [UInt8]? { if case .bytes(let value) = self { value } else { nil } }
}

/// What SQLite refused, with its own words and code.
struct DatabaseError: Error, CustomStringConvertible {
    var code: Int32
    var message: String

    var description: String { "\(message) (SQLite code \(code))" }
    var isCorruption: Bool { code & 0xff == SQLITE_CORRUPT || code & 0xff == SQLITE_NOTADB }
    var isBusy: Bool { code & 0xff == SQLITE_BUSY || code & 0xff == SQLITE_LOCKED }
}

/// One SQLite connection with its prepared statements.
// Safe because: the pointers never leave the class and are released once, in deinit.
@safe final class Database {
    private var connection: OpaquePointer?
    private var statements: [String: OpaquePointer] = unsafe [:]

    /// Opens or creates the file and takes it for this process alone.
    init(path: String) throws(DatabaseError) {
        var opened: OpaquePointer?
        let code = unsafe sqlite3_open_v2(
            path, &opened, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX, nil)
        unsafe connection = opened
        guard code == SQLITE_OK else { throw failure(code) }
        unsafe sqlite3_extended_result_codes(connection, 1)
        for pragma in [
            "PRAGMA locking_mode=EXCLUSIVE", "PRAGMA journal_mode=WAL", "PRAGMA synchronous=NORMAL",
            "BEGIN EXCLUSIVE", "COMMIT",
        ] { try run(pragma) }
        let verdict = try rows("PRAGMA quick_check(1)").first?.first?.text ?? "no answer"
        guard verdict == "ok" else { throw DatabaseError(code: SQLITE_CORRUPT, message: verdict) }
    }

    deinit {
        let all = unsafe Array(statements.values)
        for index in unsafe all.indices { unsafe sqlite3_finalize(all[index]) }
        unsafe sqlite3_close_v2(connection)
    }

    /// Runs one statement and ignores its rows.
    func run(_ sql: String, _ values: [Column] = []) throws(DatabaseError) {
        _ = try rows(sql, values)
    }

    /// Runs one statement and returns all its rows.
    func rows(_ sql: String, _ values: [Column] = []) throws(DatabaseError) -> [[Column]] {
        let statement = unsafe try prepared(sql)
        defer {
            unsafe sqlite3_reset(statement)
            unsafe sqlite3_clear_bindings(statement)
        }
        for (index, value) in values.enumerated() { unsafe bind(value, at: Int32(index + 1), to: statement) }
        var result: [[Column]] = []
        while true {
            let code = unsafe sqlite3_step(statement)
            if code == SQLITE_DONE { return result }
            guard code == SQLITE_ROW else { throw failure(code) }
            let count = unsafe sqlite3_column_count(statement)
            result.append((0..<count).map { unsafe column(statement, $0) })
        }
    }

    /// Runs `body` in one transaction: all of it or nothing.
    func transaction<Result>(_ body: () throws(DatabaseError) -> Result) throws(DatabaseError) -> Result {
        try run("BEGIN IMMEDIATE")
        do {
            let result = try body()
            try run("COMMIT")
            return result
        } catch {
            try? run("ROLLBACK")
            throw error
        }
    }

    private func prepared(_ sql: String) throws(DatabaseError) -> OpaquePointer {
        if let known = unsafe statements[sql] { return unsafe known }
        var statement: OpaquePointer?
        let code = unsafe sqlite3_prepare_v2(connection, sql, -1, &statement, nil)
        guard code == SQLITE_OK, let made = unsafe statement else { throw failure(code) }
        unsafe statements[sql] = unsafe made
        return unsafe made
    }

    private func bind(_ value: Column, at index: Int32, to statement: OpaquePointer) {
        // The destructor value -1 (SQLITE_TRANSIENT) makes SQLite copy before the call returns.
        let copies = unsafe unsafeBitCast(-1, to: sqlite3_destructor_type.self)
        switch value {
        case .integer(let number): unsafe sqlite3_bind_int64(statement, index, number)
        case .text(let text): unsafe sqlite3_bind_text(statement, index, text, -1, copies)
        case .bytes(let bytes):
            unsafe bytes.withUnsafeBytes {
                _ = unsafe sqlite3_bind_blob(statement, index, $0.baseAddress, Int32($0.count), copies)
            }
        case .null: unsafe sqlite3_bind_null(statement, index)
        }
    }

    private func column(_ statement: OpaquePointer, _ index: Int32) -> Column {
        switch unsafe sqlite3_column_type(statement, index) {
        case SQLITE_INTEGER: return .integer(unsafe sqlite3_column_int64(statement, index))
        case SQLITE_TEXT:
            guard let text = unsafe sqlite3_column_text(statement, index) else { return .null }
            return .text(unsafe String(cString: text))
        case SQLITE_BLOB:
            let count = Int(unsafe sqlite3_column_bytes(statement, index))
            guard count > 0, let start = unsafe sqlite3_column_blob(statement, index) else {
                return .bytes([])
            }
            return .bytes(unsafe [UInt8](UnsafeRawBufferPointer(start: start, count: count)))
        default: return .null
        }
    }

    private func failure(_ code: Int32) -> DatabaseError {
        guard let connection = unsafe connection, let text = unsafe sqlite3_errmsg(connection) else {
            return DatabaseError(code: code, message: "cannot open the database")
        }
        return DatabaseError(
            code: unsafe sqlite3_extended_errcode(connection), message: unsafe String(cString: text))
    }
}
