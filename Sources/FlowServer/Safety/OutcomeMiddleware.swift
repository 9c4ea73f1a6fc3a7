internal import HTTPTypes
internal import Hummingbird
internal import Logging
internal import Metrics
internal import Synchronization

/// Answers failures in OpenAI's shape, counts requests and logs them.
struct OutcomeMiddleware: RouterMiddleware {
  /// The methods of each path.
  let paths: PathMethods
  let metrics: PrometheusRegistry

  func handle(
    _ request: Request, context: ServerContext,
    next: (Request, ServerContext) async throws -> Response
  ) async throws -> Response {
    let start = ContinuousClock.now
    var response: Response
    do { response = try await next(request, context) } catch {
      var failure = ServerError(error)
      var allowed: [String] = []
      if failure.status == .notFound { allowed = paths.methods(of: request.uri.path) }
      // Where the method is right, something of that path was not found.
      if allowed.contains(request.method.rawValue) { allowed = [] }
      if !allowed.isEmpty {
        failure = ServerError(
          .methodNotAllowed, "method_not_allowed",
          "\(request.method.rawValue) is no method of this path; it has "
            + allowed.joined(separator: ", "))
      }
      response = failure.response
      if !allowed.isEmpty { response.headers[.allow] = allowed.joined(separator: ", ") }
      Counter(
        label: "streamflow_rejected", dimensions: [("reason", failure.code)], factory: metrics
      ).increment()
      // A full disk is for whoever runs the server to mend.
      if failure.isInternal || failure.status == .insufficientStorage {
        context.logger.error(
          "request failed",
          metadata: ["path": "\(Self.plain(request.uri.path))", "error": "\(error)"])
      }
    }
    response.headers[.xContentTypeOptions] = "nosniff"
    if let name = HTTPField.Name.crossOriginResourcePolicy, response.headers[name] == nil {
      response.headers[name] = "same-origin"
    }
    response.headers[.requestID] = context.id
    Counter(
      label: "streamflow_requests",
      dimensions: [
        ("method", request.method.rawValue), ("path", context.endpointPath ?? "other"),
        ("status", "\(response.status.code)"),
      ], factory: metrics
    ).increment()
    context.logger.info(
      "request",
      metadata: [
        "method": "\(request.method.rawValue)", "path": "\(Self.plain(request.uri.path))",
        "status": "\(response.status.code)",
        "seconds": "\((ContinuousClock.now - start) / .seconds(1))",
      ])
    return response
  }

  /// A path as it may stand in a log: characters that a terminal could take for commands are escaped.
  static func plain(_ path: String) -> String {
    let scalars = path.unicodeScalars.prefix(200)
    return scalars.map {
      $0.isASCII && $0.value >= 0x20 && $0.value != 0x7F ? "\($0)" : $0.escaped(asASCII: true)
    }
    .joined()
  }
}

extension HTTPField.Name {
  static let requestID = HTTPField.Name("X-Request-Id") ?? .server
  static let crossOriginResourcePolicy = HTTPField.Name("Cross-Origin-Resource-Policy")
}

/// Which methods paths take, to tell a wrong method from a wrong path.
final class PathMethods: Sendable {
  private let patterns = Mutex<[(path: [Substring], method: String)]>([])

  /// Learns the routes.
  func learn(_ routes: [(method: String, path: String)]) {
    patterns.withLock { patterns in
      patterns = routes.map { ($0.path.split(separator: "/"), $0.method) }
    }
  }

  /// The methods of a path, in order.
  func methods(of path: String) -> [String] {
    let parts = path.split(separator: "/")
    return patterns.withLock { patterns in
      patterns.filter { pattern in
        pattern.path.count == parts.count
          && zip(pattern.path, parts).allSatisfy { $0.hasPrefix("{") || $0 == $1 }
      }.map(\.method).sorted()
    }
  }
}
