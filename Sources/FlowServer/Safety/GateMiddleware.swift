internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore

/// Rejects requests with a wrong Host (DNS rebinding), a foreign Origin, or without the token.
struct GateMiddleware: RouterMiddleware {
  let hosts: HostCheck
  let token: BearerToken?
  let forwarding: Forwarding

  func handle(
    _ request: Request, context: ServerContext,
    next: (Request, ServerContext) async throws -> Response
  ) async throws -> Response {
    var context = context
    context.view = try admit(request.head, from: context.remoteAddress?.ipAddress)
    return try await next(request, context)
  }

  /// Checks the origin of a request.
  ///
  /// - Parameters:
  ///   - head: the request.
  ///   - remote: the address of the connection.
  ///   - subprotocols: the subprotocols that a WebSocket offers, one of which may be the token.
  /// - Returns: the request as its client sent it.
  @discardableResult
  func admit(
    _ head: HTTPRequest, from remote: String?, subprotocols: String? = nil
  ) throws(ServerError) -> Forwarding.View {
    let view = try forwarding.view(of: head, from: remote)
    let (origin, named) = (head.headerFields[.origin], [head.authority] + view.hosts)
    for host in named where !hosts.allows(host: host) {
      throw ServerError(.misdirectedRequest, "host_refused", hosts.refusal(host: host))
    }
    guard hosts.allows(origin: origin, host: view.forwardedHost ?? head.authority) else {
      throw ServerError(.forbidden, "origin_refused", hosts.refusal(origin: origin ?? ""))
    }
    // Browsers send preflight requests without the token.
    guard let token, !Self.isOpen(head), !CrossOriginMiddleware.isPreflight(head) else {
      return view
    }
    guard
      token.matches(authorization: head.headerFields[.authorization])
        || token.matches(subprotocols: subprotocols)
    else {
      throw ServerError(
        .unauthorized, "invalid_token",
        "a token is needed: send the header 'Authorization: Bearer TOKEN'")
    }
    return view
  }

  /// Whether a path is accessible without the token: the web UI, which asks for one, and the health
  /// check.
  private static func isOpen(_ head: HTTPRequest) -> Bool {
    let path = URI(head.path ?? "").path
    return path == "/healthz" || path == "/readyz" || path == "/openapi.json"
      || PageRoutes.paths.contains(path)
  }
}
