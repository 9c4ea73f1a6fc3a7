internal import FlowCore
internal import Foundation
internal import HTTPTypes
internal import NIOCore
internal import StreamFlow
internal import Synchronization

/// The images of an order as server-sent events, with previews.
enum StreamedOrder {
  /// Starts an order; it is cancelled within a tick when the client disconnects.
  ///
  /// - Throws: an error for an invalid order.
  static func start(
    _ order: ImageOrder, desk: OrderDesk, client: String, kind: String, time: Duration
  ) async throws -> AsyncStream<ByteBuffer> {
    // Bounded by the number of images and previews.
    let (stream, lines) = AsyncStream.makeStream(of: ByteBuffer.self)
    let (begun, begin) = AsyncStream.makeStream(of: Result<Void, any Error>.self)
    let task = Task {
      let notes = Notes(previewCount: order.previewCount)
      do {
        try await desk.fulfil(order, client: client, within: time) { warnings in
          notes.add(warnings)
          begin.yield(.success(()))
        } event: { event in
          lines.yield(
            buffer(
              of: event, order, kind: kind, warnings: notes.warnings(at: event)))
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

  /// The warnings of an order, and the number of partial images sent for each image.
  private final class Notes: Sendable {
    private struct State {
      var warnings: [ResponseWarning] = []
      var previewCounts: [Int: Int] = [:]
      var hasFinished = false
    }

    private let previewCount: Int
    private let state = Mutex(State())

    init(previewCount: Int) { self.previewCount = previewCount }

    func add(_ warnings: [ResponseWarning]?) {
      state.withLock { $0.warnings += warnings ?? [] }
    }

    /// The warnings of an event: an image's last event has all of them, the very first partial
    /// image those that are known before.
    func warnings(at event: ImageEvent) -> [ResponseWarning]? {
      state.withLock { state in
        switch event {
        case .preview(let picture, _):
          let isFirst = state.previewCounts.isEmpty && !state.hasFinished
          state.previewCounts[picture.index, default: 0] += 1
          return isFirst && !state.warnings.isEmpty ? state.warnings : nil
        case .failed: return nil
        case .finished(let made, _):
          var warnings = state.warnings
          state.hasFinished = true
          let count = state.previewCounts.removeValue(forKey: made.index) ?? 0
          if count < previewCount {
            warnings.append(
              ResponseWarning(
                .partialImagesReduced,
                "'partial_images' is \(previewCount) and \(count) were sent; set 'steps' to at least "
                  + "\(previewCount + 1)", parameter: "partial_images"))
          }
          return warnings.isEmpty ? nil : warnings
        }
      }
    }
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
    let usage: TokenUsage?
    let warnings: [ResponseWarning]?
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
    of event: ImageEvent, _ order: ImageOrder, kind: String, warnings: [ResponseWarning]?
  ) -> ByteBuffer {
    func picture(
      _ type: String, _ picture: ImageEvent.Picture, number: Int? = nil, seed: UInt64? = nil
    ) -> ByteBuffer {
      EventLines.event(
        type,
        Picture(
          type: type, b64Json: Data(picture.file).base64EncodedString(), index: picture.index,
          partialImageIndex: number, seed: seed, size: "\(picture.width)x\(picture.height)",
          outputFormat: order.encoding.name, usage: number == nil ? TokenUsage() : nil,
          warnings: warnings))
    }
    switch event {
    case .preview(let image, let number):
      return picture("\(kind).partial_image", image, number: number)
    case .finished(let made, let seed): return picture("\(kind).completed", made, seed: seed)
    case .failed(let index, let error):
      return EventLines.event("error", FailureEvent(ServerError(error), index: index))
    }
  }
}
