internal import Foundation
internal import Hummingbird
internal import Logging
internal import NIOCore

/// What a route knows of its request besides the request.
struct ServerContext: RequestContext, RemoteAddressRequestContext {
  var coreContext: CoreRequestContextStorage
  let remoteAddress: SocketAddress?
  /// The request as its client sent it, which a proxy may have changed; known behind the gate.
  var view: Forwarding.View?
  /// The memory that the request's body is charged to, until the request is answered.
  var memory: MemoryReservation?
  private let channel: any Channel

  init(source: ApplicationRequestContextSource) {
    // Hummingbird counts up, which would tell one client how many requests others make.
    var logger = source.logger
    logger[metadataKey: "hb.request.id"] = "\(RandomName.make("req"))"
    coreContext = CoreRequestContextStorage(
      source: ApplicationRequestContextSource(channel: source.channel, logger: logger))
    channel = source.channel
    remoteAddress = source.channel.remoteAddress
  }

  /// Who asks: whom it says it asks for, else its address.
  func client(user: String?) -> String {
    if let user, !user.isEmpty { return "user \(user)" }
    return view?.client ?? remoteAddress?.ipAddress ?? "local"
  }

  /// The address at which the client finds a path of the server.
  func address(_ path: String) -> String { view?.url.address(path) ?? path }

  /// The path before those of the server, as the client sees them; empty, or such as `/streamflow`.
  var prefix: String { view?.url.prefix ?? "" }

  /// Gives a client that waits for it (`Expect: 100-continue`) leave to send its body.
  func acceptBody() {
    channel.triggerUserOutboundEvent(HTTPExchangeHandler.BodyWanted(), promise: nil)
  }
}
