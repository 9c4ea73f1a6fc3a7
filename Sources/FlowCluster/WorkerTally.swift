internal import FlowServer
internal import Synchronization

/// What a worker counts.
final class WorkerTally: Sendable {
  private struct State {
    var busy = 0
    var pictures = 0
    var redelivered = 0
    var superseded = 0
    /// The mean time of an image, of which the latest weigh most.
    var imageSeconds = 0.0
    /// When the images of the last minute were finished.
    var recent: [ContinuousClock.Instant] = []
  }

  private let state = Mutex(State())
  private let start = ContinuousClock.now

  func begin() { state.withLock { $0.busy += 1 } }
  func end() { state.withLock { $0.busy -= 1 } }
  func countRedelivered() { state.withLock { $0.redelivered += 1 } }
  func countSuperseded() { state.withLock { $0.superseded += 1 } }

  var busy: Int { state.withLock { $0.busy } }

  /// Counts a finished image.
  func finish(after time: Duration) {
    let seconds = time / .seconds(1)
    state.withLock { state in
      state.pictures += 1
      state.imageSeconds =
        state.pictures == 1 ? seconds : 0.9 * state.imageSeconds + 0.1 * seconds
      state.recent.append(.now)
    }
  }

  /// What the worker says of itself.
  func report(name: String, device: String, models: [String], capacity: Int) -> ServiceWorker {
    let now = ContinuousClock.now
    let span = min(max((now - start) / .seconds(1), 1), 60)
    return state.withLock { state in
      state.recent.removeAll { now - $0 > .seconds(60) }
      return ServiceWorker(
        name: name, device: device, models: models, busy: state.busy, capacity: capacity,
        pictures: state.pictures, imageSeconds: state.imageSeconds,
        picturesPerSecond: Double(state.recent.count) / span, redelivered: state.redelivered,
        superseded: state.superseded)
    }
  }
}
