public import FlowCore
internal import FlowModels

/// What became of one input of a live stream.
public struct LiveFrame: Sendable {
  /// What came of it.
  public enum Outcome: Sendable {
    /// An image.
    case made(PixelImage)
    /// The image before, again: the filter found the input like the one before.
    case repeated(PixelImage)
    /// Nothing: this input alone could not be made into an image.
    case failed(any Error)
  }

  /// How long an input was where; a skipped one was nowhere.
  public struct Times: Sendable {
    /// From being offered to being taken up.
    public internal(set) var waiting = Duration.zero
    /// Being brought to size and encoded.
    public internal(set) var encoding = Duration.zero
    /// In flight, with the wait for room there.
    public internal(set) var flying = Duration.zero
    /// Being decoded, with the wait for the decoder.
    public internal(set) var decoding = Duration.zero
    /// From being offered to coming out, in its turn.
    public internal(set) var latency = Duration.zero
  }

  /// The number of the input, from 0, with those that were dropped counted.
  public let index: Int
  /// The time that the input was offered with.
  public let timestamp: Duration
  /// What it was made with.
  public let settings: LiveSettings
  /// The number of the change that these settings came with, 0 for those at the start.
  public let settingsNumber: Int
  /// What came of it.
  public let outcome: Outcome
  /// How long it was where.
  public let times: Times
  /// The input as the network saw it, at the size of the images; none for one that was skipped
  /// or failed before.
  public let input: PixelImage?

  /// The image, new or again.
  public var image: PixelImage? {
    switch outcome {
    case .made(let image), .repeated(let image): image
    case .failed: nil
    }
  }
}

/// What became of an offered input at once.
public enum LiveOffer: Equatable, Sendable {
  /// It waits for its turn.
  case accepted(index: Int)
  /// It waits for its turn, and the one that waited before it is dropped: the latest wins.
  case replaced(index: Int, droppedIndex: Int)
  /// The stream has ended.
  case ended
}

/// What is done with an input, once its turn has come.
public enum LiveDecision: Equatable, Sendable {
  /// An image is made of it.
  case admitted
  /// None is: the filter found it like the one before.
  case skipped
  /// None is: a later one came before its turn.
  case dropped
  /// None is: the stream has ended.
  case ended
}

/// The frames of a live stream, in the order of their inputs.
///
/// A frame that could not be made is a frame with its error; the sequence throws only where the
/// stream as a whole cannot go on. Who does not take frames holds the stream up.
public struct LiveFrames: AsyncSequence, Sendable {
  /// What the sequence gives.
  public typealias Element = LiveFrame

  let stream: LiveStream

  /// Begins to take frames; a stream has one iterator at a time.
  public func makeAsyncIterator() -> Iterator { Iterator(stream: stream) }

  /// Takes frames.
  public struct Iterator: AsyncIteratorProtocol {
    let stream: LiveStream

    /// The next frame, or nothing after the last.
    public mutating func next() async throws -> LiveFrame? { try await stream.nextFrame() }
  }
}
