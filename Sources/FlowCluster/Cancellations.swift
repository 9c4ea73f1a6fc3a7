internal import FlowNATS
internal import Synchronization

/// The orders that are not wanted any more, and the images of theirs that are being made.
final class Cancellations: Sendable {
  private struct State {
    var orders: [String: ContinuousClock.Instant] = [:]
    var running: [String: [Int: @Sendable () -> Void]] = [:]
    var next = 0
  }

  private let state = Mutex(State())
  private static let lifetime = Duration.seconds(3600)

  /// Notes that an order is not wanted, and ends what is being made of it.
  func cancel(_ order: String) {
    let actions = state.withLock { state in
      let now = ContinuousClock.now
      state.orders = state.orders.filter { now - $0.value < Self.lifetime }
      state.orders[order] = now
      return (state.running[order] ?? [:]).values.map { $0 }
    }
    for action in actions { action() }
  }

  /// Whether an order is known not to be wanted.
  func contains(_ order: String) -> Bool { state.withLock { $0.orders[order] != nil } }

  /// Ends all that is being made.
  func endAll() {
    let actions = state.withLock { state in state.running.values.flatMap(\.values) }
    for action in actions { action() }
  }

  /// Notes how the making of an image is ended; ``remove(_:of:)`` forgets it.
  func add(_ action: @escaping @Sendable () -> Void, of order: String) -> Int {
    state.withLock { state in
      state.next += 1
      state.running[order, default: [:]][state.next] = action
      return state.next
    }
  }

  func remove(_ number: Int, of order: String) {
    state.withLock { state in
      state.running[order]?[number] = nil
      if state.running[order]?.isEmpty == true { state.running[order] = nil }
    }
  }
}
