internal import Foundation
internal import Hummingbird
internal import Logging
internal import NIOCore

/// The context of a request for its route.
struct ServerContext: RequestContext, RemoteAddressRequestContext {
  var coreContext: CoreRequestContextStorage
  let remoteAddress: SocketAddress?
  /// The request as the proxy's client sent it; set by the gate.
  var view: Forwarding.View?
  /// The memory that the request's body is charged to, until the response ends.
  var memory: MemoryReservation?
  private let channel: any Channel

  init(source: ApplicationRequestContextSource) {
    // Hummingbird's ids count up, which would reveal the number of other requests.
    var logger = source.logger
    logger[metadataKey: "hb.request.id"] = "\(RandomName.make("req"))"
    coreContext = CoreRequestContextStorage(
      source: ApplicationRequestContextSource(channel: source.channel, logger: logger))
    channel = source.channel
    remoteAddress = source.channel.remoteAddress
  }

  /// The client for fair scheduling: the user that it names, else its address.
  func client(user: String?) -> String {
    if let user, !user.isEmpty { return "user \(user)" }
    return view?.client ?? remoteAddress?.ipAddress ?? "local"
  }

  /// The address of a path of the server as the client sees it.
  func address(_ path: String) -> String { view?.url.address(path) ?? path }

  /// The path prefix of the server as the client sees it; empty, or such as `/streamflow`.
  var prefix: String { view?.url.prefix ?? "" }

  /// Sends `100 Continue` to a client that waits for it.
  func acceptBody() {
    channel.triggerUserOutboundEvent(HTTPExchangeHandler.BodyWanted(), promise: nil)
  }
}
