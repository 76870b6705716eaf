internal import CWebSockets
internal import Glibc

/// A socket that nobody wants.
func closeSocket(_ socket: Int32) { Glibc.close(socket) }

extension EventLoop {
    /// Gives an accepted socket to the loop; false if it was not taken, and it is closed then.
    func adopt(_ socket: Int32, into channel: ByteChannel) -> Bool {
        guard let vhost = unsafe lws_get_vhost_by_name(context, "default") else {
            closeSocket(socket)
            return false
        }
        return unsafe channel.adopt(socket: socket, vhost: vhost)
    }
}
