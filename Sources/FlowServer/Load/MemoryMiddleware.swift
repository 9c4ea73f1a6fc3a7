internal import Hummingbird

/// Gives each request a reservation that its body is charged to, until the response ends.
struct MemoryMiddleware: RouterMiddleware {
  let budget: MemoryBudget

  func handle(
    _ request: Request, context: ServerContext,
    next: (Request, ServerContext) async throws -> Response
  ) async throws -> Response {
    var context = context
    context.memory = try budget.reserve()
    return try await next(request, context)
  }
}
