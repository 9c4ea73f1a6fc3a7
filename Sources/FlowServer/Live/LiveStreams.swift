internal import Hummingbird
internal import Logging

/// The live streams of a server: those of its process, or of workers elsewhere.
protocol LiveStreams: Sendable {
  /// Adds the routes of `/v1/streams`.
  func add(to router: Router<ServerContext>)

  /// Whether a WebSocket of a stream may be opened.
  func has(_ stream: String) -> Bool

  /// Serves a WebSocket until either side ends.
  func serve(_ channel: SocketChannel.Socket, stream: String, logger: Logger) async

  /// What the status says of each stream.
  func reports() async -> [LiveReport]

  /// Ends idle streams, and removes ended ones.
  func sweep() async

  /// Ends all streams, and rejects new ones.
  func closeAll() async
}

/// A live stream in the server's status.
package struct LiveReport: Codable, Sendable {
  /// A number: the stream's own id grants access to it.
  package let id: String
  let model: String
  let width: Int
  let height: Int
  let rows: Int
  /// The number of frames in flight.
  let inFlight: Int
  let made: Int
  let skipped: Int
  let framesPerSecond: Double
  /// The worker that runs it, if it is not this process.
  package var worker: String?
}

/// The live streams of this process.
struct LocalStreams: LiveStreams {
  let registry: StreamRegistry
  let limits: ServerLimits
  /// Whether clients are gateways, whose requests name the limits of their streams.
  var servesGateways = false

  func add(to router: Router<ServerContext>) {
    StreamRoutes(registry: registry, limits: limits, servesGateways: servesGateways)
      .add(to: router)
  }

  func has(_ stream: String) -> Bool { registry.has(stream) }

  func serve(_ channel: SocketChannel.Socket, stream: String, logger: Logger) async {
    guard let session = try? registry.session(stream) else {
      try? await channel.channel.close()
      return
    }
    await SessionSocket(session: session).serve(channel, logger: logger)
  }

  func reports() async -> [LiveReport] { await registry.reports() }

  func sweep() async { await registry.sweep() }

  func closeAll() async { await registry.closeAll() }
}
