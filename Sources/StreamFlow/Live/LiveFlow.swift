internal import FlowCore
internal import FlowEngine
internal import FlowModels
internal import Synchronization

/// An input on its way to admission.
struct LiveInput: Sendable {
  let index: Int
  let image: PixelImage
  let timestamp: Duration
  let offered: ContinuousClock.Instant
}

/// An element of the input queue.
enum LiveInputItem: Sendable {
  case picture(LiveInput)
  /// Admits a group that is not full.
  case flush

  var isImageFile: Bool { if case .picture = self { true } else { false } }
}

/// The queues between a stream's tasks.
///
/// The tasks hold these queues, and hold the stream only while they use it, so that a stream
/// without other owners ends.
final class LiveFlow: Sendable {
  let inputs: BoundedQueue<LiveInputItem>
  /// An element for each input that was taken up and has not been delivered.
  let places: BoundedQueue<Void>
  let flights = BoundedQueue<[Flight]>(capacity: 1)
  let arrivals: BoundedQueue<Arrival>
  /// An element when an input has settled.
  let settled = BoundedQueue<Void>(capacity: 1)
  let outputs: BoundedQueue<LiveFrame>
  /// The number of inputs that were queued and have not become flights or ended otherwise.
  private let underway = Mutex(0)

  init(_ options: LiveOptions) {
    inputs = BoundedQueue(capacity: options.frameBuffer)
    places = BoundedQueue(capacity: 64 + RowChoice.maximum + 2 * options.frameBuffer)
    arrivals = BoundedQueue(capacity: 2 * max(options.decodeBatch, options.frameBuffer))
    outputs = BoundedQueue(capacity: max(options.outputCapacity, options.frameBuffer))
  }

  /// Whether another flight is expected soon.
  var isExpectingMore: Bool { underway.withLock { $0 > 0 } }

  /// Counts an input that was queued, or one that became a flight or ended otherwise.
  func expect(_ change: Int) { underway.withLock { $0 += change } }

  /// Ends all queues at once.
  func close() async {
    _ = await inputs.close()
    _ = await places.close()
    _ = await flights.close()
    _ = await arrivals.close()
    _ = await settled.close()
    _ = await outputs.close()
  }
}

/// The record of an input that has been taken up.
struct LiveRecord {
  let input: LiveInput
  var settings: LiveSettings
  let settingsNumber: Int
  let lane: LaneKey
  var times = LiveFrame.Times()
  /// The time when it entered its current stage.
  var since: ContinuousClock.Instant
  var fitted: PixelImage?
  /// Where it is repainted; nil for everywhere.
  var mask: ImageMask?
  /// The part that the network runs on, with its lane; nil for all of it.
  var region: (work: WorkRegion, lane: LaneKey)?
  /// The cells that changed; nil if inputs are not compared.
  var changed: CellMap?
  /// Whether its latents have arrived.
  var hasArrived = false
  var result: Result?

  /// The result.
  enum Result {
    /// An image, before it is laid over the input.
    case made(PixelImage)
    /// The image of the input before, laid over this input.
    case reused
    case skipped
    case failed(any Error)
  }

  /// Whether its latents are made of those of the image before.
  var readsEarlier: Bool { settings.reuse.changesLatents }

  /// The repainted part composited over the input, or the image itself without a mask.
  func overlaid(_ image: PixelImage) -> PixelImage {
    guard let fitted, let mask else { return image }
    return fitted.overlaid(with: image, where: mask)
  }

  /// Adds the time since the last call to one of the times.
  mutating func count(_ time: WritableKeyPath<LiveFrame.Times, Duration>) {
    let now = ContinuousClock.now
    times[keyPath: time] += now - since
    since = now
  }
}
