internal import HTTPTypes
internal import Hummingbird
internal import Logging
internal import Metrics

/// Answers failures in OpenAI's format, counts requests and logs them.
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
      // No route matched; a route that does not find an object reports that itself.
      if Self.route(context) == nil, failure.status == .notFound {
        allowed = paths.methods(of: request.uri.path)
        failure =
          allowed.isEmpty
          ? UnknownPath(paths: paths).error(request.uri.path)
          : ServerError(
            .methodNotAllowed, "method_not_allowed",
            "\(request.method.rawValue) is not allowed here; use "
              + allowed.joined(separator: " or "))
      }
      response = failure.response
      if !allowed.isEmpty { response.headers[.allow] = allowed.joined(separator: ", ") }
      Counter(
        label: "streamflow_rejected", dimensions: [("reason", failure.code)], factory: metrics
      ).increment()
      if ServerError.mustLog(error) {
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
    measure(&response, of: request, context, since: start)
    context.logger.info(
      "request",
      metadata: [
        "method": "\(request.method.rawValue)", "path": "\(Self.plain(request.uri.path))",
        "status": "\(response.status.code)",
        "seconds": "\((ContinuousClock.now - start) / .seconds(1))",
      ])
    return response
  }

  /// A path for the log, with terminal control characters escaped.
  static func plain(_ path: String) -> String {
    let scalars = path.unicodeScalars.prefix(200)
    return scalars.map {
      $0.isASCII && $0.value >= 0x20 && $0.value != 0x7F ? "\($0)" : $0.escaped(asASCII: true)
    }
    .joined()
  }

  /// Counts a request by its route, and measures its time until the body was sent.
  private func measure(
    _ response: inout Response, of request: Request, _ context: ServerContext,
    since start: ContinuousClock.Instant
  ) {
    let dimensions = [
      // Methods are arbitrary text: each would create another series.
      ("method", Self.methods.contains(request.method) ? request.method.rawValue : "other"),
      ("path", Self.route(context) ?? "other"), ("status", "\(response.status.code)"),
    ]
    Counter(label: "streamflow_requests", dimensions: dimensions, factory: metrics).increment()
    let timer = Timer(
      label: "streamflow_request_duration", dimensions: dimensions, factory: metrics)
    guard response.body.contentLength == nil else {
      timer.record(duration: .now - start)
      return
    }
    let body = response.body
    response.body = ResponseBody { writer in
      defer { timer.record(duration: .now - start) }
      try await body.write(writer)
    }
  }

  /// The route of a request; nil if none matched.
  private static func route(_ context: ServerContext) -> String? {
    context.endpointPath.flatMap { $0.hasPrefix("/") ? $0 : nil }
  }

  private static let methods: Set<HTTPRequest.Method> = [
    .get, .head, .post, .put, .patch, .delete, .options,
  ]
}

extension HTTPField.Name {
  static let requestID = HTTPField.Name("X-Request-Id") ?? .server
  static let crossOriginResourcePolicy = HTTPField.Name("Cross-Origin-Resource-Policy")
}
