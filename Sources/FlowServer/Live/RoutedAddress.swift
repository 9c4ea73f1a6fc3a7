internal import NIOCore
internal import NIOPosix

/// The address from which this machine reaches another.
package enum RoutedAddress {
  /// The address from which this machine reaches another; nil if the route has none.
  ///
  /// Nothing is sent.
  ///
  /// - Throws: where the other cannot be resolved, or there is no route to it.
  package static func toward(_ host: String, port: Int) async throws -> String? {
    let channel = try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .connect(host: host, port: port).get()
    defer { channel.close(promise: nil) }
    return channel.localAddress?.ipAddress
  }
}
