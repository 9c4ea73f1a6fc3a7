internal import Foundation
internal import HTTPTypes
internal import Hummingbird

/// A worker that takes live streams from gateways.
package struct LiveHost: Codable, Hashable, Sendable, CustomStringConvertible {
  /// Its name among all workers.
  package let worker: String
  /// The address at which gateways reach it.
  package let host: String
  package let port: Int
  /// The secret of this process, which gateways send.
  let token: String

  /// Names a worker.
  package init(worker: String, host: String, port: Int, token: String) {
    (self.worker, self.host, self.port, self.token) = (worker, host, port, token)
  }

  // Without the token.
  package var description: String { "\(worker) at \(authority)" }

  /// Its address in URLs and headers.
  var authority: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// The workers that run a gateway's live streams.
package protocol LivePlacement: Sendable {
  /// The name of a model, and the workers that take live streams of it, the least busy one first.
  ///
  /// - Parameter model: the model of a request.
  /// - Throws: `model_not_found`, `no_workers`.
  func liveHosts(of model: String?) async throws -> (model: String, hosts: [LiveHost])

  /// Notes that a stream was opened, before its worker reports it.
  func didOpen(at host: LiveHost)

  /// Notes that a stream was ended, before its worker reports it.
  func didEnd(at host: LiveHost)

  /// The live streams of a worker, or of all where it is nil, as noted and reported.
  func streamCount(at worker: String?) -> Int

  /// The worker of a name.
  func liveHost(named worker: String) -> LiveHost?

  /// The live streams of all workers.
  func liveReports() async -> [LiveReport]
}

/// The id of a live stream at a worker, which ends with the worker's name, so that every gateway
/// finds it.
enum PlacedStream {
  /// What follows a stream's own id.
  static func idSuffix(worker: String) -> String {
    "."
      + Data(worker.utf8).base64EncodedString()
      .replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
  }

  /// The worker of a stream; nil for an id of another form.
  static func worker(of id: String) -> String? {
    guard let point = id.lastIndex(of: ".") else { return nil }
    let text = String(id[id.index(after: point)...])
      .replacing("-", with: "+").replacing("_", with: "/")
    let padded = text + String(repeating: "=", count: (4 - text.count % 4) % 4)
    return Data(base64Encoded: padded).flatMap { String(validating: $0, as: UTF8.self) }
  }
}

/// The model and the limits of a gateway's stream, which its worker applies.
struct LiveLimits: Codable {
  static let header = HTTPField.Name("StreamFlow-Limits") ?? .cacheControl

  /// The name of the model: each worker has a first one of its own.
  let model: String
  let side: Int
  let stepCount: Int
  let promptLength: Int
  let upscaledPixelCount: Int
  let sizes: [[Int]]

  init(_ limits: ServerLimits, model: String) {
    self.model = model
    (side, stepCount, promptLength) = (limits.side, limits.stepCount, limits.promptLength)
    upscaledPixelCount = limits.upscaledPixelCount
    sizes = limits.allowedSizes.map { [$0.width, $0.height] }
  }

  /// Reads those of a gateway's request.
  ///
  /// - Throws: `invalid_header`.
  init(_ request: Request) throws(ServerError) {
    guard let text = request.headers[Self.header], let data = Data(base64Encoded: text),
      let given = try? JSONDecoder().decode(LiveLimits.self, from: data),
      given.sizes.allSatisfy({ $0.count == 2 })
    else {
      throw ServerError(
        .badRequest, "invalid_header",
        "the header 'StreamFlow-Limits' is not one of this version's gateways; run the gateway and "
          + "its workers with one version")
    }
    self = given
  }

  /// Other limits with these.
  func applied(to limits: ServerLimits) -> ServerLimits {
    var limits = limits
    (limits.side, limits.stepCount, limits.promptLength) = (side, stepCount, promptLength)
    limits.upscaledPixelCount = upscaledPixelCount
    limits.allowedSizes = sizes.map { ($0[0], $0[1]) }
    return limits
  }

  /// The value of the header.
  var text: String {
    get throws { try JSONEncoder().encode(self).base64EncodedString() }
  }
}
