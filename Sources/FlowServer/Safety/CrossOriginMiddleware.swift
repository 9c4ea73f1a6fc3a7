internal import HTTPTypes
internal import Hummingbird

/// Lets pages of listed origins read responses, including errors (CORS, Fetch Standard, section
/// 3.2).
struct CrossOriginMiddleware: RouterMiddleware {
  let hosts: HostCheck

  func handle(
    _ request: Request, context: ServerContext,
    next: (Request, ServerContext) async throws -> Response
  ) async throws -> Response {
    var response = try await next(request, context)
    guard let origin = request.headers[.origin], hosts.isNamed(origin: origin) else {
      return response
    }
    response.headers[.accessControlAllowOrigin] = origin
    response.headers[.vary] = "Origin"
    response.headers[.accessControlExposeHeaders] = "Retry-After, X-Request-Id"
    return response
  }

  /// Whether a request is a browser's preflight for a page's request.
  static func isPreflight(_ head: HTTPRequest) -> Bool {
    head.method == .options && head.headerFields[.origin] != nil
      && head.headerFields[.accessControlRequestMethod] != nil
  }
}

/// Answers preflight requests, after the gate has accepted them.
struct PreflightMiddleware: RouterMiddleware {
  let hosts: HostCheck

  func handle(
    _ request: Request, context: ServerContext,
    next: (Request, ServerContext) async throws -> Response
  ) async throws -> Response {
    guard CrossOriginMiddleware.isPreflight(request.head) else {
      return try await next(request, context)
    }
    var response = Response(status: .noContent)
    // The page's own origin sends no preflight; other headers are not listed.
    guard let origin = request.headers[.origin], hosts.isNamed(origin: origin) else {
      return response
    }
    response.headers[.accessControlAllowMethods] = "GET, POST, PUT, PATCH, DELETE"
    response.headers[.accessControlAllowHeaders] = "Authorization, Content-Type"
    response.headers[.accessControlMaxAge] = "600"
    // Chrome sends this before a page of the public network accesses a private one.
    if let asked = HTTPField.Name("Access-Control-Request-Private-Network"),
      let allowed = HTTPField.Name("Access-Control-Allow-Private-Network"),
      request.headers[asked] == "true"
    {
      response.headers[allowed] = "true"
    }
    return response
  }
}
