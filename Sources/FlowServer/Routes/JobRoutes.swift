internal import HTTPTypes
internal import Hummingbird
internal import NIOCore

/// `/v1/jobs`: many pictures that are made while nobody waits.
struct JobRoutes: Sendable {
  let jobs: JobRegistry
  let store: ResultStore
  let limits: ServerLimits

  func add(to router: some RouterMethods<ServerContext>) {
    router.post("v1/jobs") { request, context in
      var request = request
      var fields = try await request.fields(limits, context)
      let order = try ImageOrder(&fields, limits: limits, isJob: true)
      try fields.checkAllRead()
      let job = try await jobs.add(order, client: context.client(user: order.user))
      return Response.json(await job.report(), status: .accepted)
    }
    router.get("v1/jobs/:id") { _, context in
      Response.json(try await job(context).report(withImages: true))
    }
    router.delete("v1/jobs/:id") { _, context in
      Response.json(
        try await jobs.remove(context.parameters.get("id") ?? "").report(withImages: false))
    }
    router.get("v1/jobs/:id/images/:index") { _, context in
      try await picture(of: try await job(context), context.parameters.get("index") ?? "")
    }
    router.get("v1/jobs/:id/events") { request, context in
      let changes = await (try await job(context)).changes()
      return Response.ongoing(
        to: request, type: EventLines.type, changes.map { Self.line($0) })
    }
  }

  private func job(_ context: ServerContext) async throws -> Job {
    try await jobs.job(context.parameters.get("id") ?? "")
  }

  private func picture(of job: Job, _ index: String) async throws -> Response {
    guard let number = Int(index), let name = await job.name(of: number) else {
      throw ServerError.notFound("the job has made no picture of that number yet")
    }
    guard let bytes = try await store.bytes(of: name) else {
      throw ServerError(
        .gone, "expired", "the picture is no longer kept; make the job again with the same seed")
    }
    return .bytes(bytes, type: job.encoding.type, caching: "private, max-age=3600, immutable")
  }

  private static func line(_ change: Job.Change) -> ByteBuffer {
    switch change {
    case .image(let picture): EventLines.event("image", picture)
    case .progress(let report): EventLines.event("progress", report)
    case .over(let report): EventLines.event("done", report)
    }
  }
}
