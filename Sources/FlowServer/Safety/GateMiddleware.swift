internal import HTTPTypes
internal import Hummingbird

/// Turns away who must not come in: wrong Host (DNS rebinding), foreign Origin, no token.
struct GateMiddleware: RouterMiddleware {
  let hosts: HostCheck
  let token: BearerToken?

  func handle(
    _ request: Request, context: ServerContext,
    next: (Request, ServerContext) async throws -> Response
  ) async throws -> Response {
    try check(
      host: request.head.authority, origin: request.headers[.origin],
      authorization: request.headers[.authorization], path: request.uri.path)
    if request.method == .options, let origin = request.headers[.origin] {
      return preflight(origin)
    }
    var response = try await next(request, context)
    if let origin = request.headers[.origin], hosts.isNamed(origin: origin) {
      response.headers[.accessControlAllowOrigin] = origin
      response.headers[.vary] = "Origin"
    }
    return response
  }

  /// Checks what a request says of where it comes from.
  func check(
    host: String?, origin: String?, authorization: String?, subprotocols: String? = nil,
    path: String
  ) throws(ServerError) {
    if let words = hosts.refusal(host: host, origin: origin) {
      throw hosts.allows(host: host)
        ? ServerError(.forbidden, "origin_refused", words)
        : ServerError(.misdirectedRequest, "host_refused", words)
    }
    guard let token, !Self.isOpen(path) else { return }
    guard token.matches(authorization: authorization) || token.matches(subprotocols: subprotocols)
    else {
      throw ServerError(
        .unauthorized, "invalid_token",
        "a token is needed: send the header 'Authorization: Bearer TOKEN'")
    }
  }

  /// Whether a path is open to those without a token: the page, which asks for one, and whether
  /// the server is well.
  static func isOpen(_ path: String) -> Bool {
    path == "/healthz" || path == "/readyz" || path == "/openapi.json"
      || PageRoutes.paths.contains(path)
  }

  private func preflight(_ origin: String) -> Response {
    guard hosts.isNamed(origin: origin) else { return Response(status: .noContent) }
    return Response(
      status: .noContent,
      headers: [
        .accessControlAllowOrigin: origin, .vary: "Origin",
        .accessControlAllowMethods: "GET, POST, PUT, PATCH, DELETE",
        .accessControlAllowHeaders: "Authorization, Content-Type",
        .accessControlMaxAge: "600",
      ])
  }
}
