internal import FlowCore
internal import FlowEngine
internal import FlowModels
internal import Synchronization

/// An input on its way in.
struct LiveInput: Sendable {
  let index: Int
  let image: PixelImage
  let timestamp: Duration
  let offered: ContinuousClock.Instant
}

/// What waits at the input side.
enum LiveInputItem: Sendable {
  case picture(LiveInput)
  /// Admits a group that is not full.
  case flush

  var isImageFile: Bool { if case .picture = self { true } else { false } }
}

/// The queues between a stream's tasks.
///
/// The tasks hold these, and the stream only while they do something with it: a stream that nobody
/// holds any more ends.
final class LiveFlow: Sendable {
  let inputs: BoundedQueue<LiveInputItem>
  /// A place for each input that was taken up and has not come out.
  let places: BoundedQueue<Void>
  let flights = BoundedQueue<[Flight]>(capacity: 1)
  let arrivals: BoundedQueue<Arrival>
  /// A mark where something has come to its end.
  let settled = BoundedQueue<Void>(capacity: 1)
  let outputs: BoundedQueue<LiveFrame>
  /// The inputs that were put in and are yet to become something that flies, or nothing.
  private let underway = Mutex(0)

  init(_ options: LiveOptions) {
    inputs = BoundedQueue(capacity: options.frameBuffer)
    places = BoundedQueue(capacity: 64 + RowChoice.maximum + 2 * options.frameBuffer)
    arrivals = BoundedQueue(capacity: 2 * max(options.decodeBatch, options.frameBuffer))
    outputs = BoundedQueue(capacity: max(options.outputCapacity, options.frameBuffer))
  }

  /// Whether more is about to fly.
  var isExpectingMore: Bool { underway.withLock { $0 > 0 } }

  /// Counts an input that was put in, or one that has become something that flies, or nothing.
  func expect(_ change: Int) { underway.withLock { $0 += change } }

  /// Ends everything at once.
  func close() async {
    _ = await inputs.close()
    _ = await places.close()
    _ = await flights.close()
    _ = await arrivals.close()
    _ = await settled.close()
    _ = await outputs.close()
  }
}

/// An input that has been taken up.
struct LiveRecord {
  let input: LiveInput
  let settings: LiveSettings
  let settingsNumber: Int
  let lane: LaneKey
  var times = LiveFrame.Times()
  /// When it came to where it is.
  var since: ContinuousClock.Instant
  var fitted: PixelImage?
  /// Where it is repainted; nil for everywhere.
  var mask: ImageMask?
  var result: Result?

  /// How it ended.
  enum Result {
    case made(PixelImage)
    case skipped
    case failed(any Error)
  }

  /// The input with a repainted part laid over it, or the image as it is where there is no mask.
  func overlaid(_ image: PixelImage) -> PixelImage {
    guard let fitted, let mask else { return image }
    return fitted.overlaid(with: image, where: mask)
  }

  /// Counts the time since the last call to one of the times.
  mutating func count(_ time: WritableKeyPath<LiveFrame.Times, Duration>) {
    let now = ContinuousClock.now
    times[keyPath: time] += now - since
    since = now
  }
}
