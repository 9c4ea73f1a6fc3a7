internal import FlowCore
internal import Foundation
internal import HTTPTypes
internal import NIOCore
internal import StreamFlow

/// The pictures of an order as server-sent events, previews first.
enum StreamedOrder {
  /// Begins an order; it is given up, within a tick, when nobody reads any more.
  ///
  /// - Throws: what is wrong with it.
  static func start(
    _ order: ImageOrder, desk: OrderDesk, client: String, kind: String, time: Duration
  ) async throws -> AsyncStream<ByteBuffer> {
    // Bounded by the pictures of an order and their previews.
    let (stream, lines) = AsyncStream.makeStream(of: ByteBuffer.self)
    let (begun, begin) = AsyncStream.makeStream(of: Result<Void, any Error>.self)
    let task = Task {
      do {
        try await desk.fulfil(order, client: client, within: time) {
          begin.yield(.success(()))
        } event: { generator, event in
          lines.yield(try buffer(of: event, generator, order, kind: kind))
        }
      } catch {
        begin.yield(.failure(error))
        if !(error is CancellationError) {
          lines.yield(EventLines.event("error", FailureEvent(ServerError(error), index: nil)))
        }
      }
      lines.finish()
    }
    lines.onTermination = { _ in task.cancel() }
    for await result in begun {
      try result.get()
      break
    }
    return stream
  }

  private struct Picture: Encodable {
    let type: String
    let b64Json: String
    let index: Int
    let partialImageIndex: Int?
    let seed: UInt64?
    let createdAt = Int(Date().timeIntervalSince1970)
    let size: String
    let outputFormat: String
    let background = "opaque"
    let quality = "auto"
    let usage: Usage?
  }

  /// What OpenAI's clients expect of a finished picture; nothing is counted here.
  private struct Usage: Encodable {
    struct Details: Encodable {
      let imageTokens = 0
      let textTokens = 0
    }

    let inputTokens = 0
    let outputTokens = 0
    let totalTokens = 0
    let inputTokensDetails = Details()
  }

  private struct FailureEvent: Encodable {
    let type = "error"
    let error: ErrorBody.Content
    let index: Int?

    init(_ error: ServerError, index: Int?) {
      self.error = error.body.error
      self.index = index
    }
  }

  private static func buffer(
    of event: GenerationEvent, _ generator: Generator, _ order: ImageOrder, kind: String
  ) throws -> ByteBuffer {
    let size = "\(generator.width)x\(generator.height)"
    func picture(
      _ type: String, _ image: PixelImage, number: Int? = nil, parameters: String? = nil,
      seed: UInt64? = nil
    ) throws -> ByteBuffer {
      let bytes = try order.encoding.bytes(of: image, parameters: parameters)
      return EventLines.event(
        type,
        Picture(
          type: type, b64Json: Data(bytes).base64EncodedString(), index: event.index,
          partialImageIndex: number, seed: seed, size: size, outputFormat: order.encoding.name,
          usage: number == nil ? Usage() : nil))
    }
    switch event {
    case .preview(_, let number, let image):
      return try picture("\(kind).partial_image", image, number: number)
    case .finished(let made):
      return try picture(
        "\(kind).completed", made.image, parameters: generator.parameters(of: made.request),
        seed: made.request.seed)
    case .failed(let index, let error):
      return EventLines.event("error", FailureEvent(ServerError(error), index: index))
    }
  }
}
