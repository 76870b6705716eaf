import FoundationEssentials
import Glibc
import Telemetry
import Transport

/// One client of a burst, on a blocking socket: one thread reads, one sends.
final class BurstConnection: Sendable {
    /// What both threads use, one at a time.
    private struct Wire {
        var tls: TLSServerSession
        var buffer = [UInt8](repeating: 0, count: 512 << 10)
        var isOver = false
    }

    private let socket: Int32
    private let server: BurstServer
    private let wire: Guarded<Wire>
    private let streams = Guarded<[String]>([])
    private let ended = Guarded(false)
    /// Bytes of frames that are sent with one system call.
    private static let batchBytes = 48 << 10

    init(socket: Int32, server: BurstServer, tls: TLSServerSession) {
        self.socket = socket
        self.server = server
        wire = Guarded(Wire(tls: tls))
    }

    var streamCount: Int { streams.withLock { $0.count } }

    // MARK: Sending

    /// Encrypts `bytes` in the given pieces, each a record of its own if it is small enough, and sends it all.
    private func send(_ bytes: [UInt8], pieces: [Range<Int>]) -> Bool {
        wire.withLock { wire in
            guard !wire.isOver else { return false }
            for piece in pieces {
                let isWritten = unsafe bytes.withUnsafeBytes {
                    unsafe wire.tls.write(UnsafeRawBufferPointer(rebasing: $0[piece]))
                }
                guard isWritten else { return false }
            }
            return flush(&wire)
        }
    }

    private func flush(_ wire: inout Wire) -> Bool {
        while true {
            let tls = wire.tls
            let count = unsafe wire.buffer.withUnsafeMutableBytes { unsafe tls.takeOutput(into: $0) }
            guard count > 0 else { return true }
            var sent = 0
            while sent < count {
                let result = unsafe wire.buffer.withUnsafeBytes {
                    unsafe Glibc.send(
                        socket, $0.baseAddress.map { unsafe $0 + sent }, count - sent, Int32(MSG_NOSIGNAL))
                }
                guard result > 0 else {
                    wire.isOver = true
                    return false
                }
                sent += result
            }
        }
    }

    private func send(_ bytes: [UInt8]) -> Bool { send(bytes, pieces: [0..<bytes.count]) }

    // MARK: Reading

    /// Reads until the client ends; runs on a thread of its own.
    func read() {
        defer { end() }
        var clear: [UInt8] = []
        var isUpgraded = false
        var piece = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = unsafe piece.withUnsafeMutableBytes {
                unsafe recv(socket, $0.baseAddress, $0.count, 0)
            }
            guard count > 0 else { return }
            let more: [UInt8]? = wire.withLock { wire in
                let tls = wire.tls
                let bytes = unsafe piece.withUnsafeBytes {
                    unsafe tls.receive(UnsafeRawBufferPointer(rebasing: $0[0..<count]))
                }
                return flush(&wire) ? bytes : nil
            }
            guard let more else { return }
            clear += more
            while !isUpgraded, let end = clear.firstRange(of: Array("\r\n\r\n".utf8)) {
                let head = String(decoding: clear[..<end.lowerBound], as: UTF8.self)
                clear.removeSubrange(..<end.upperBound)
                let (answer, upgrades) = server.answer(head)
                guard send(answer) else { return }
                isUpgraded = upgrades
            }
            if isUpgraded, !takeFrames(&clear) { return }
        }
    }

    private func takeFrames(_ bytes: inout [UInt8]) -> Bool {
        while let frame = ClientFrame(bytes) {
            bytes.removeFirst(frame.byteCount)
            switch frame.opcode {
            case 9: guard send([0x8A, UInt8(frame.payload.count)] + frame.payload) else { return false }
            case 8: return false
            case 1: guard subscribe(frame.payload) else { return false }
            default: break
            }
        }
        return true
    }

    private func subscribe(_ text: [UInt8]) -> Bool {
        do throws(ControlError) {
            let message = try ControlMessage.parse(text)
            let reply = ControlMessage.reply("null", message.id)
            guard send([0x81, UInt8(reply.count)] + reply) else { return false }
            guard case .subscribe(let names) = message.method else { return true }
            let isFirst = streams.withLock { streams in
                defer { streams += names.filter { server.markets[$0] != nil && !streams.contains($0) } }
                return streams.isEmpty
            }
            if isFirst { BurstThread.start { self.sendEvents() } }
            return true
        } catch { return false }
    }

    private func end() {
        ended.withLock { $0 = true }
        _ = shutdown(socket, Int32(SHUT_RDWR))
        server.forget(self)
    }

    // MARK: Events

    /// Sends events until the client is gone; runs on a thread of its own.
    private func sendEvents() {
        var output: [UInt8] = []
        output.reserveCapacity(2 * Self.batchBytes)
        var pieces: [Range<Int>] = []
        var next = 0
        var version = -1
        var start = ContinuousClock.now
        var count = 0
        while !ended.withLock({ $0 }) {
            let names = streams.withLock { $0 }
            let (pace, share) = server.pace(for: self)
            if pace.version != version { (version, start, count) = (pace.version, .now, 0) }
            guard pace.isSending else {
                usleep(2000)
                continue
            }
            var due = Int.max
            if pace.rate > 0 {
                due = Int((ContinuousClock.now - start) / .seconds(1) * pace.rate * share) - count
                guard due > 0 else {
                    usleep(1000)
                    continue
                }
                server.noteBehind(due)
            }
            output.removeAll(keepingCapacity: true)
            pieces.removeAll(keepingCapacity: true)
            let time = BurstMarkets.milliseconds
            while output.count < Self.batchBytes, due > 0 {
                let begin = output.count
                server.markets[names[next % names.count]]?.withLock { $0.appendNext(to: &output, time: time) }
                if pace.isOneRecordPerFrame { pieces.append(begin..<output.count) }
                next = (next + 1) % names.count
                due -= 1
                count += 1
            }
            if !pace.isOneRecordPerFrame { pieces = [0..<output.count] }
            guard send(output, pieces: pieces) else { return }
        }
    }
}

/// A whole masked frame at the start of some bytes.
struct ClientFrame {
    var opcode: UInt8
    var payload: [UInt8]
    var byteCount: Int

    init?(_ bytes: [UInt8]) {
        guard bytes.count >= 6 else { return nil }
        var length = Int(bytes[1] & 0x7F)
        var place = 2
        if length == 126 {
            length = Int(bytes[2]) << 8 | Int(bytes[3])
            place = 4
        }
        guard bytes[1] & 0x80 != 0, length < 65_536, bytes.count >= place + 4 + length else { return nil }
        opcode = bytes[0] & 15
        let key = Array(bytes[place..<place + 4])
        payload = bytes[(place + 4)..<(place + 4 + length)].enumerated().map { $1 ^ key[$0 & 3] }
        byteCount = place + 4 + length
    }
}
