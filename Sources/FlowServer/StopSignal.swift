internal import Synchronization

/// Notifies waiting requests that the server is stopping.
///
/// Their tasks are not cancelled, so that they can still write a response.
final class StopSignal: Sendable {
  private struct State {
    var isStopped = false
    var actions: [Int: @Sendable () -> Void] = [:]
    var next = 0
  }

  private let state = Mutex(State())

  /// Ends all waits, present and future.
  func stop() {
    let actions = state.withLock { state in
      state.isStopped = true
      defer { state.actions = [:] }
      return state.actions.values.map { $0 }
    }
    for action in actions { action() }
  }

  /// Runs work in a separate task until it ends, the calling task is cancelled or the server stops,
  /// whichever is first.
  ///
  /// In the latter two cases, the work's task is cancelled but not awaited, since compiling a
  /// network cannot be interrupted.
  ///
  /// - Throws: errors of the work, `CancellationError`, or `shutting_down`.
  func unlessStopped<Value: Sendable>(
    _ work: @escaping @Sendable () async throws -> Value
  ) async throws -> Value {
    let (results, found) = AsyncStream.makeStream(
      of: Result<Value, any Error>.self, bufferingPolicy: .bufferingOldest(1))
    let task = Task {
      do { found.yield(.success(try await work())) } catch { found.yield(.failure(error)) }
      found.finish()
    }
    let number = add {
      found.yield(.failure(ServerError.stopping))
      found.finish()
      task.cancel()
    }
    defer { remove(number) }
    return try await withTaskCancellationHandler {
      for await result in results { return try result.get() }
      throw CancellationError()
    } onCancel: {
      task.cancel()
    }
  }

  /// Whether the server has stopped.
  var isStopped: Bool { state.withLock { $0.isStopped } }

  /// Waits until the server stops, or the task is cancelled.
  func wait() async {
    let (events, event) = AsyncStream.makeStream(of: Never.self)
    let number = add { event.finish() }
    defer { remove(number) }
    for await _ in events {}
  }

  /// Calls a closure when the server stops; immediately if it has stopped.
  private func add(_ action: @escaping @Sendable () -> Void) -> Int {
    let number: Int? = state.withLock { state in
      guard !state.isStopped else { return nil }
      state.next += 1
      state.actions[state.next] = action
      return state.next
    }
    if number == nil { action() }
    return number ?? 0
  }

  private func remove(_ number: Int) { state.withLock { $0.actions[number] = nil } }
}
