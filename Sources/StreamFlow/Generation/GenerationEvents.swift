public import FlowCore
internal import FlowModels

/// What happens to images that were asked for.
public enum GenerationEvent: Sendable {
  /// A look at an unfinished image: where its velocity leads to so far.
  ///
  /// - Parameters:
  ///   - index: which of the requests, from 0.
  ///   - number: which of its previews, from 0.
  ///   - image: the expected image.
  case preview(index: Int, number: Int, image: PixelImage)
  /// An image advanced a step; only where that was asked for.
  ///
  /// - Parameters:
  ///   - index: which of the requests, from 0.
  ///   - step: the evaluations that are done, from 1.
  ///   - count: all evaluations that it takes.
  case stepped(index: Int, step: Int, count: Int)
  /// An image is finished.
  case finished(GeneratedImage)
  /// An image failed, and no other.
  case failed(index: Int, any Error)

  /// Which of the requests, from 0.
  public var index: Int {
    switch self {
    case .preview(let index, _, _), .stepped(let index, _, _), .failed(let index, _): index
    case .finished(let image): image.index
    }
  }

  /// Whether nothing more comes of its request.
  var isLast: Bool {
    switch self {
    case .preview, .stepped: false
    case .finished, .failed: true
    }
  }

  /// Whether nobody needs it any more once another event of the same image is there.
  func isReplaced(by event: GenerationEvent) -> Bool {
    guard index == event.index, !isLast else { return false }
    switch (self, event) {
    case (.preview, .stepped), (.stepped, .preview): return false
    default: return true
    }
  }
}

/// What happens to images that were asked for, as it happens; asking runs the next ticks.
///
/// Ends when each image has finished or failed; throws only where the engines fail. Letting go
/// of it gives up what has not been made, within a tick.
public struct GenerationEvents: AsyncSequence, Sendable {
  /// What the sequence gives.
  public typealias Element = GenerationEvent

  /// The number of images that were asked for.
  public let count: Int
  /// The name of what was asked for together, as ``GeneratorFlight/stream`` says it.
  public var stream: Int { pull.stream }
  private let pull: Pull

  init(generator: Generator, stream: Int, count: Int) {
    pull = Pull(generator: generator, stream: stream)
    self.count = count
  }

  /// Gives up what has not been made, within a tick; the events end.
  public func cancel() async { await pull.generator.cancel(pull.stream) }

  /// Begins to pull events; there is one iterator.
  public func makeAsyncIterator() -> Iterator { Iterator(pull: pull) }

  /// Pulls events.
  public struct Iterator: AsyncIteratorProtocol {
    fileprivate let pull: Pull

    /// The next event, or nothing after the last.
    public mutating func next() async throws -> GenerationEvent? {
      try Task.checkCancellation()
      return try await pull.generator.nextEvent(of: pull.stream)
    }
  }

  /// Gives the rest up when nobody holds it any more.
  fileprivate final class Pull: Sendable {
    let generator: Generator
    let stream: Int

    init(generator: Generator, stream: Int) {
      self.generator = generator
      self.stream = stream
    }

    deinit {
      let (generator, stream) = (generator, stream)
      Task { await generator.cancel(stream) }
    }
  }
}
