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

/// Where live streams run that this process does not.
package protocol LivePlacement: Sendable {
  /// The workers that take live streams of a model, the least busy one first.
  ///
  /// - Throws: `model_not_found`, `no_workers`.
  func liveHosts(of model: String?) async throws -> [LiveHost]

  /// The worker of a name.
  func liveHost(named worker: String) -> LiveHost?

  /// The live streams of all workers.
  func liveReports() async -> [LiveReport]
}

/// The id of a live stream at a worker, which ends with the worker's name, so that every gateway finds it.
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

/// The limits of a gateway's streams, which its worker applies.
struct LiveLimits: Codable {
  static let header = HTTPField.Name("StreamFlow-Limits")

  let side: Int
  let stepCount: Int
  let promptLength: Int
  let upscaledPixelCount: Int
  let sizes: [[Int]]

  init(_ limits: ServerLimits) {
    (side, stepCount, promptLength) = (limits.side, limits.stepCount, limits.promptLength)
    upscaledPixelCount = limits.upscaledPixelCount
    sizes = limits.allowedSizes.map { [$0.width, $0.height] }
  }

  /// The limits in a gateway's request.
  static func applied(
    of request: Request, to limits: ServerLimits
  ) throws(ServerError) -> ServerLimits {
    guard let name = header, let text = request.headers[name] else { return limits }
    guard let given = try? JSONDecoder().decode(LiveLimits.self, from: Data(text.utf8)),
      given.sizes.allSatisfy({ $0.count == 2 })
    else {
      throw ServerError(
        .badRequest, "invalid_header",
        "the header 'StreamFlow-Limits' is not one of this version's gateways; run the gateway and "
          + "its workers with one version")
    }
    var limits = limits
    (limits.side, limits.stepCount) = (given.side, given.stepCount)
    limits.promptLength = given.promptLength
    limits.upscaledPixelCount = given.upscaledPixelCount
    limits.allowedSizes = given.sizes.map { ($0[0], $0[1]) }
    return limits
  }

  /// The value of the header.
  var text: String {
    get throws { String(decoding: try JSONEncoder().encode(self), as: UTF8.self) }
  }
}
