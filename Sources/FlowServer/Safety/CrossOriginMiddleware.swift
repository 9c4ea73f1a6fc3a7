internal import HTTPTypes
internal import Hummingbird

/// Lets pages of named origins read answers, errors among them (CORS, Fetch Standard, section 3.2).
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

  /// Whether a browser asks for leave to send a request of a page.
  static func isPreflight(_ head: HTTPRequest) -> Bool {
    head.method == .options && head.headerFields[.origin] != nil
      && head.headerFields[.accessControlRequestMethod] != nil
  }
}

/// Answers browsers that ask for leave; the gate has let them through.
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
    // The page's own origin asks for no leave; what is not allowed is not mentioned.
    guard let origin = request.headers[.origin], hosts.isNamed(origin: origin) else {
      return response
    }
    response.headers[.accessControlAllowMethods] = "GET, POST, PUT, PATCH, DELETE"
    response.headers[.accessControlAllowHeaders] = "Authorization, Content-Type"
    response.headers[.accessControlMaxAge] = "600"
    // Chrome asks so before a page of the public network speaks to a private one.
    if let asked = HTTPField.Name("Access-Control-Request-Private-Network"),
      let allowed = HTTPField.Name("Access-Control-Allow-Private-Network"),
      request.headers[asked] == "true"
    {
      response.headers[allowed] = "true"
    }
    return response
  }
}
