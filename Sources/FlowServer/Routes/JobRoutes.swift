internal import HTTPTypes
internal import Hummingbird
internal import NIOCore

/// `/v1/jobs`: generates many images in the background.
struct JobRoutes: Sendable {
  let jobs: JobRegistry
  let desk: OrderDesk
  let intake: ImageIntake
  let limits: ServerLimits

  func add(to router: some RouterMethods<ServerContext>) {
    router.post("v1/jobs") { request, context in
      var request = request
      let order = try await order(&request, context)
      let report = try await jobs.add(order, client: context.client(user: order.user))
      return Response.json(report.below(context.prefix), status: .accepted)
    }
    router.get("v1/jobs") { request, context in
      let page = try await jobs.page(try JobQuery(request.uri.queryParameters))
      return Response.json(page.below(context.prefix))
    }
    router.get("v1/jobs/:id") { _, context in
      Response.json(try await jobs.report(id(context)).below(context.prefix))
    }
    router.delete("v1/jobs/:id") { _, context in
      Response.json(try await jobs.remove(id(context)).below(context.prefix))
    }
    router.get("v1/jobs/:id/images/:index") { _, context in
      let index = context.parameters.get("index").flatMap { Int($0) } ?? -1
      let (bytes, type) = try await jobs.image(index, of: id(context))
      return Response.bytes(bytes, type: type, caching: "private, max-age=3600, immutable")
    }
    router.get("v1/jobs/:id/events") { request, context in
      let prefix = context.prefix
      let changes = try await jobs.changes(id(context))
      return Response.ongoing(
        to: request, type: EventLines.type, changes.map { Self.line($0.below(prefix)) })
    }
  }

  private func id(_ context: ServerContext) -> String { context.parameters.get("id") ?? "" }

  /// Parses a job: JSON, or a form; an input image is a file of the form, or base64.
  private func order(
    _ request: inout Request, _ context: ServerContext
  ) async throws -> ImageOrder {
    let type = request.headers[.contentType]?.lowercased() ?? ""
    if type.hasPrefix("multipart/form-data") {
      let (order, upload) = try ImageRoutes.edit(
        try await request.form(limits, context), limits: limits, memory: context.memory, isJob: true
      )
      return try await intake.decoded(order, upload, desk: desk)
    }
    var fields = try await request.fields(limits, context)
    if fields.has("image") || fields.has("images") {
      let (order, upload) = try ImageRoutes.edit(&fields, limits: limits, isJob: true)
      return try await intake.decoded(order, upload, desk: desk)
    }
    let order = try ImageOrder(&fields, limits: limits, isJob: true)
    try fields.checkAllRead()
    try order.controls?.checkImages()
    return try await intake.decoded(order, nil, desk: desk)
  }

  private static func line(_ change: JobChange) -> ByteBuffer {
    switch change {
    case .image(let image): EventLines.event("image", image)
    case .progress(let report): EventLines.event("progress", report)
    case .over(let report): EventLines.event("done", report)
    case .interrupted(let error): EventLines.event("error", error.body)
    }
  }
}

extension JobQuery {
  /// Parses query parameters with the names of OpenAI's lists.
  init(_ parameters: some Collection<(key: Substring, value: Substring)>) throws(ServerError) {
    self.init()
    for (key, value) in parameters {
      let text = String(value.prefix(80))
      func wrong(_ expected: String) -> ServerError {
        .invalid("'\(key)' must be \(expected), got '\(text)'", parameter: String(key))
      }
      switch key {
      case "limit":
        guard let number = Int(value), Self.limits.contains(number) else {
          throw wrong(
            "an integer from \(Self.limits.lowerBound) to \(Self.limits.upperBound)")
        }
        limit = number
      case "after": after = String(value)
      case "status":
        guard let found = JobStatus(rawValue: String(value)) else {
          throw wrong("one of \(JobStatus.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        status = found
      case "order":
        guard value == "asc" || value == "desc" else { throw wrong("asc or desc") }
        isAscending = value == "asc"
      default:
        throw ServerError(
          .badRequest, "unknown_parameter",
          "unknown parameter '\(key.prefix(80))'; known are after, limit, order, status",
          parameter: String(key.prefix(80)))
      }
    }
  }
}
