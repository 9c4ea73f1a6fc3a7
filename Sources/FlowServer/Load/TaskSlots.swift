internal import Synchronization

/// Limits the number of concurrent tasks; others wait in order, and stop waiting when cancelled.
final class TaskSlots: Sendable {
  private struct State {
    var free: Int
    var nextWaiter = 0
    var waiters: [(id: Int, continuation: CheckedContinuation<Bool, Never>)] = []
  }

  private let state: Mutex<State>

  init(count: Int) {
    precondition(count > 0, "no slots")
    state = Mutex(State(free: count))
  }

  /// The number of waiting tasks.
  var waitingCount: Int { state.withLock { $0.waiters.count } }

  /// Runs work in a slot.
  ///
  /// - Throws: `CancellationError` if the task was cancelled before it got a slot.
  func run<Result>(
    isolation: isolated (any Actor)? = #isolation, _ work: () async throws -> Result
  ) async throws -> Result {
    try Task.checkCancellation()
    guard await acquire() else { throw CancellationError() }
    defer { release() }
    return try await work()
  }

  private func acquire() async -> Bool {
    let id = state.withLock { state in
      state.nextWaiter += 1
      return state.nextWaiter
    }
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let outcome = state.withLock { state -> Bool? in
          // The cancellation handler runs before or after this, never in between.
          if Task.isCancelled { return false }
          if state.free > 0 {
            state.free -= 1
            return true
          }
          state.waiters.append((id, continuation))
          return nil
        }
        if let outcome { continuation.resume(returning: outcome) }
      }
    } onCancel: {
      let waiter = state.withLock { state in
        state.waiters.firstIndex { $0.id == id }.map { state.waiters.remove(at: $0) }
      }
      waiter?.continuation.resume(returning: false)
    }
  }

  private func release() {
    let next = state.withLock { state in
      if state.waiters.isEmpty {
        state.free += 1
        return nil as CheckedContinuation<Bool, Never>?
      }
      return state.waiters.removeFirst().continuation
    }
    next?.resume(returning: true)
  }
}
