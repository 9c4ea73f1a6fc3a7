internal import FlowCore
internal import FlowImage
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import Logging
internal import NIOCore
internal import StreamFlow

/// `/v1/images`: OpenAI's image API; `/v1/results`: images that were returned as URLs.
struct ImageRoutes: Sendable {
  let desk: OrderDesk
  let store: ResultStore
  let intake: ImageIntake
  let limits: ServerLimits

  func add(to router: some RouterMethods<ServerContext>) {
    router.post("v1/images/generations") { request, context in
      var request = request
      var fields = try await request.fields(limits, context)
      let order = try ImageOrder(&fields, limits: limits)
      try fields.checkAllRead()
      try order.controls?.checkImages()
      return try await answer(order, nil, to: request, context, kind: "image_generation")
    }
    router.post("v1/images/edits") { request, context in
      var request = request
      let (order, upload) = try await edit(&request, context)
      return try await answer(order, upload, to: request, context, kind: "image_edit")
    }
    router.get("v1/results/:name") { _, context in
      try await stored(context.parameters.get("name") ?? "")
    }
  }

  /// Parses an edit: a form with files, or JSON with its images in base64.
  private func edit(
    _ request: inout Request, _ context: ServerContext
  ) async throws -> (order: ImageOrder, upload: Upload) {
    let type = request.headers[.contentType]?.lowercased() ?? ""
    guard type.hasPrefix("application/json") else {
      let form = try await request.form(limits, context)
      return try Self.edit(form, limits: limits, memory: context.memory)
    }
    let bytes = try await request.bytes(upTo: limits.bodyByteCount, context)
    // The text of the images is in memory twice, beside the images themselves.
    try context.memory?.grow(by: 2 * bytes.count)
    var json = limits.json
    json.byteCount = limits.bodyByteCount
    var fields = try RequestFields(json: bytes, limits: json)
    return try Self.edit(&fields, limits: limits)
  }

  /// A finished image from the store.
  private func stored(_ text: String) async throws -> Response {
    guard let name = ResultName(text), let bytes = try await store.bytes(of: name) else {
      throw ServerError.notFound(
        "there is no image with this name; images are stored for "
          + "\(limits.resultTime.components.seconds) s")
    }
    var response = Response.bytes(
      bytes, type: name.mediaType, caching: "private, max-age=3600, immutable")
    // Anyone with the unguessable address may embed the image in another page.
    if let name = HTTPField.Name.crossOriginResourcePolicy {
      response.headers[name] = "cross-origin"
    }
    return response
  }

  // MARK: - Responses

  private func answer(
    _ order: ImageOrder, _ upload: Upload?, to request: Request, _ context: ServerContext,
    kind: String
  ) async throws -> Response {
    let client = context.client(user: order.user)
    guard order.isStreamed else {
      // A client that disconnects frees its batch rows: the connection is watched meanwhile, and
      // closed afterwards.
      var response = try await request.body.consumeWithCancellationOnInboundClose { _ in
        let order = try await intake.decoded(order, upload, desk: desk)
        return Response.json(try await whole(order, client: client, context))
      }
      response.headers[.connection] = "close"
      return response
    }
    let order = try await intake.decoded(order, upload, desk: desk)
    // Errors before the first event are reported as a status, later ones as an event.
    let events = try await StreamedOrder.start(
      order, desk: desk, client: client, kind: kind, time: limits.requestTime)
    return .ongoing(to: request, type: EventLines.type, events)
  }

  private struct Answer: Encodable, Sendable {
    struct Picture: Encodable, Sendable {
      let index: Int
      let seed: UInt64
      var b64Json: String?
      var url: String?
    }

    let created: Int
    let data: [Picture]
    let size: String
    let outputFormat: String
    let background = "opaque"
    let usage = TokenUsage()
    let warnings: [ResponseWarning]?
  }

  /// All images of an order, when all are finished.
  private func whole(
    _ order: ImageOrder, client: String, _ context: ServerContext
  ) async throws -> Answer {
    let collected = Collected()
    let store = store
    try await desk.fulfil(order, client: client, within: limits.requestTime) { warnings in
      await collected.add(warnings)
    } event: { event in
      switch event {
      case .preview: break
      case .failed(_, let error): throw error
      case .finished(let picture, let seed):
        let bytes = picture.file
        var answer = Answer.Picture(index: picture.index, seed: seed)
        switch order.responseFormat {
        case .base64: answer.b64Json = Data(bytes).base64EncodedString()
        case .url:
          answer.url = context.address("/v1/results/\(try await store.keep(bytes, order.encoding))")
        }
        await collected.add(answer, size: "\(picture.width)x\(picture.height)")
      }
    }
    return Answer(
      created: Int(Date().timeIntervalSince1970), data: await collected.pictures,
      size: await collected.size, outputFormat: order.encoding.name,
      warnings: await collected.warnings)
  }

  private actor Collected {
    private(set) var size = ""
    private(set) var warnings: [ResponseWarning]?
    private var found: [Answer.Picture] = []

    func add(_ warnings: [ResponseWarning]?) { self.warnings = warnings }

    func add(_ picture: Answer.Picture, size: String) {
      found.append(picture)
      self.size = size
    }

    var pictures: [Answer.Picture] { found.sorted { $0.index < $1.index } }
  }
}

extension ResultStore {
  /// Stores an image.
  func keep(_ bytes: [UInt8], _ encoding: ImageEncoding) throws -> ResultName {
    try keep(bytes, format: encoding == .png ? .png : .jpeg)
  }
}
