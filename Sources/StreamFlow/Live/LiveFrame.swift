public import FlowCore
internal import FlowModels

/// The result of one input of a live stream.
public struct LiveFrame: Sendable {
  /// The outcome of an input.
  public enum Outcome: Sendable {
    /// An image.
    case made(PixelImage)
    /// The previous image again: the filter found the input similar to the previous one, or nothing of
    /// it changed (``LiveReuse``).
    case repeated(PixelImage)
    /// Nothing: no image could be made of this input; the stream continues.
    case failed(any Error)
  }

  /// The time that an input spent in each stage; all zero for a skipped one.
  public struct Times: Sendable {
    /// From being offered to being taken up.
    public internal(set) var waiting = Duration.zero
    /// Being resized and encoded.
    public internal(set) var encoding = Duration.zero
    /// In flight, including the wait for admission.
    public internal(set) var flying = Duration.zero
    /// Being decoded, including the wait for the decoder.
    public internal(set) var decoding = Duration.zero
    /// From being offered to being delivered, in order.
    public internal(set) var latency = Duration.zero
  }

  /// The index of the input, from 0; dropped ones are counted.
  public let index: Int
  /// The caller's timestamp of the input.
  public let timestamp: Duration
  /// The settings that it was made with.
  public let settings: LiveSettings
  /// The number of the change that these settings came with, 0 for those at the start.
  public let settingsNumber: Int
  /// The outcome.
  public let outcome: Outcome
  /// The time spent in each stage.
  public let times: Times
  /// The input at the size of the images; nil for an input that the filter skipped, or one that
  /// failed before.
  public let input: PixelImage?

  /// The image, new or repeated.
  public var image: PixelImage? {
    switch outcome {
    case .made(let image), .repeated(let image): image
    case .failed: nil
    }
  }
}

/// The immediate answer to an offered input.
public enum LiveOffer: Equatable, Sendable {
  /// It waits for its turn.
  case accepted(index: Int)
  /// It waits for its turn, and replaces an input that was still waiting: the latest wins.
  case replaced(index: Int, droppedIndex: Int)
  /// The stream has ended.
  case ended
}

/// The decision about an input, once its turn has come.
public enum LiveDecision: Equatable, Sendable {
  /// An image is made of it.
  case admitted
  /// Skipped: the filter found it similar to the previous one, or nothing of it changed.
  case skipped
  /// Dropped: a later one came before its turn.
  case dropped
  /// No image is made: the stream has ended.
  case ended
}

/// The frames of a live stream, in the order of their inputs.
///
/// A frame that failed carries its error; the sequence throws only if the stream as a whole cannot
/// continue. A consumer that takes no frames stalls the stream.
public struct LiveFrames: AsyncSequence, Sendable {
  /// The type of the elements.
  public typealias Element = LiveFrame

  let stream: LiveStream

  /// Starts iterating; a stream has one iterator at a time.
  public func makeAsyncIterator() -> Iterator { Iterator(stream: stream) }

  /// Iterates over the frames.
  public struct Iterator: AsyncIteratorProtocol {
    let stream: LiveStream

    /// The next frame, or nil after the last.
    public mutating func next() async throws -> LiveFrame? { try await stream.nextFrame() }
  }
}
