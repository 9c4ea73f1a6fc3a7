internal import Foundation
internal import Hummingbird
internal import HummingbirdCore
internal import Logging
internal import Metrics
internal import NIOCore

/// How a server takes connections: their limits, the check of requests, and WebSockets beside
/// routes.
struct HTTPFront: Sendable {
  let host: String
  let port: Int
  let limits: ServerLimits
  let gate: GateMiddleware
  let streams: any LiveStreams
  let metrics: PrometheusRegistry
  let logger: Logger
  /// The user's settings that can change the address.
  var settings: [ServerSetupError.Setting] = [.port]

  /// The application that listens.
  ///
  /// - Parameters:
  ///   - router: its routes.
  ///   - didStart: called with the port once connections are accepted.
  func application(
    _ router: Router<ServerContext>, didStart: @escaping @Sendable (_ port: Int) async -> Void
  ) -> some ApplicationProtocol {
    let sockets = StreamSockets(streams: streams, gate: gate)
    let rules = rules(sockets)
    let connections = ConnectionCounts(
      limit: limits.connectionCountPerAddress, proxies: gate.forwarding.proxies)
    return Application(
      router: router,
      server: HTTPServerBuilder { responder in
        SocketChannel(
          http: SocketChannel.HTTPHandler(responder: responder), sockets: sockets, rules: rules,
          connections: connections)
      },
      configuration: ApplicationConfiguration(
        address: .hostname(host, port: port),
        availableConnectionsDelegate: .maximum(limits.connectionCount, logger: logger)),
      onServerRunning: { channel in await didStart(channel.localAddress?.port ?? 0) },
      logger: logger)
  }

  /// The rules for connections.
  private func rules(_ sockets: StreamSockets) -> HTTPExchangeHandler.Rules {
    let (logger, metrics, forwarding) = (logger, metrics, gate.forwarding)
    return HTTPExchangeHandler.Rules(
      limits: limits,
      path: { forwarding.publicURL?.path($0) ?? $0 },
      isSocket: { sockets.headers(for: $0, from: $1) != nil },
      didRefuse: { error in
        Counter(
          label: "streamflow_rejected", dimensions: [("reason", error.code)], factory: metrics
        ).increment()
        // The invalid request itself is not logged.
        logger.info(
          "request refused",
          metadata: ["status": "\(error.status.code)", "reason": "\(error.code)"])
      })
  }

  /// The error for an address at which it cannot listen; another error as it is.
  func error(_ error: any Error) -> any Error {
    guard let error = error as? IOError else { return error }
    guard error.errnoCode == EADDRINUSE else {
      return ServerSetupError("cannot listen at \(host):\(port): \(error)")
    }
    return ServerSetupError(
      "port \(port) is already in use; choose another port, 0 for any free port",
      settings: settings)
  }
}
