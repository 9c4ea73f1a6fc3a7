internal import Foundation
internal import Hummingbird
internal import Logging
internal import NIOCore

/// What a route knows of its request besides the request.
struct ServerContext: RequestContext, RemoteAddressRequestContext {
  var coreContext: CoreRequestContextStorage
  let remoteAddress: SocketAddress?

  init(source: ApplicationRequestContextSource) {
    coreContext = CoreRequestContextStorage(source: source)
    remoteAddress = source.channel.remoteAddress
  }

  /// Who asks: whom it says it asks for, else its address.
  func client(user: String?) -> String {
    if let user, !user.isEmpty { return "user \(user)" }
    return remoteAddress?.ipAddress ?? "local"
  }
}
