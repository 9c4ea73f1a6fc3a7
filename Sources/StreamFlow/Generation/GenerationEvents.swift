public import FlowCore
internal import FlowModels

/// An event of a requested image.
public enum GenerationEvent: Sendable {
  /// A preview of an unfinished image: the end point of its current velocity.
  ///
  /// - Parameters:
  ///   - index: the index of the request, from 0.
  ///   - number: the index of the preview, from 0.
  ///   - image: the expected image.
  case preview(index: Int, number: Int, image: PixelImage)
  /// An image advanced a step; only if steps are reported.
  ///
  /// - Parameters:
  ///   - index: the index of the request, from 0.
  ///   - step: the number of finished evaluations, from 1.
  ///   - count: the total number of evaluations.
  case stepped(index: Int, step: Int, count: Int)
  /// An image is finished.
  case finished(GeneratedImage)
  /// An image failed; the others continue.
  case failed(index: Int, any Error)

  /// The index of the request, from 0.
  public var index: Int {
    switch self {
    case .preview(let index, _, _), .stepped(let index, _, _), .failed(let index, _): index
    case .finished(let image): image.index
    }
  }

  /// Whether this is the last event of its request.
  var isLast: Bool {
    switch self {
    case .preview, .stepped: false
    case .finished, .failed: true
    }
  }

  /// Whether a later event of the same image makes this one obsolete.
  func isReplaced(by event: GenerationEvent) -> Bool {
    guard index == event.index, !isLast else { return false }
    switch (self, event) {
    case (.preview, .stepped), (.stepped, .preview): return false
    default: return true
    }
  }
}

/// What makes images, and says what happens to them: a generator, or a pool of several.
protocol EventSource: Actor {
  /// What happens next to a stream's images, or nil after the last.
  func nextEvent(of stream: Int) async throws -> GenerationEvent?
  /// Forgets a stream.
  func cancel(_ stream: Int)
}

/// What happens to images that were asked for, as it happens; asking runs the next ticks.
///
/// Ends when each image has finished or failed; throws only if the engines fail. Releasing the
/// sequence cancels unfinished images within a tick.
public struct GenerationEvents: AsyncSequence, Sendable {
  /// The type of the elements.
  public typealias Element = GenerationEvent

  /// The number of requested images.
  public let count: Int
  /// The identifier of these requests, as in ``GeneratorFlight/stream``.
  public var stream: Int { pull.stream }
  private let pull: Pull

  init(source: any EventSource, stream: Int, count: Int) {
    pull = Pull(source: source, stream: stream)
    self.count = count
  }

  /// Gives up what has not been made, within a tick; the events end.
  public func cancel() async { await pull.source.cancel(pull.stream) }

  /// Starts iterating; there is one iterator.
  public func makeAsyncIterator() -> Iterator { Iterator(pull: pull) }

  /// Iterates over the events.
  public struct Iterator: AsyncIteratorProtocol {
    fileprivate let pull: Pull

    /// The next event, or nil after the last.
    public mutating func next() async throws -> GenerationEvent? {
      try Task.checkCancellation()
      return try await pull.source.nextEvent(of: pull.stream)
    }
  }

  /// Cancels the rest when it is released.
  fileprivate final class Pull: Sendable {
    let source: any EventSource
    let stream: Int

    init(source: any EventSource, stream: Int) {
      self.source = source
      self.stream = stream
    }

    deinit {
      let (source, stream) = (source, stream)
      Task { await source.cancel(stream) }
    }
  }
}
