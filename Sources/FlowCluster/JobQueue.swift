internal import FlowNATS
internal import FlowServer
internal import Synchronization

/// The jobs of a worker's models, one at a time.
///
/// One pull at a time asks one lane for one job: a worker takes as many as it makes at once and never
/// more, so what waits stays where another worker can take it.
final class JobQueue: Sendable {
  private struct State {
    var turns: LaneTurns
    var isClosed = false
    /// Until when nothing is taken, after this worker failed.
    var pause = ContinuousClock.now
    var sweep = ContinuousClock.now
  }

  /// How often lanes are asked that nobody told of: for jobs that come back from others.
  static let sweepInterval = Duration.seconds(2)

  private let puller: Puller
  private let state: Mutex<State>
  private let turn = Turn()
  private let bell: AsyncStream<Void>
  private let ring: AsyncStream<Void>.Continuation

  init(_ stream: JetStream, models: [String]) throws {
    puller = try Puller(stream)
    state = Mutex(State(turns: LaneTurns(models: models)))
    (bell, ring) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
  }

  /// Notes that a lane has a job.
  func wake(_ lane: Lane) {
    state.withLock { $0.turns.hint(lane) }
    ring.yield()
  }

  /// Takes nothing for a time.
  func pause(for time: Duration) {
    state.withLock { $0.pause = max($0.pause, .now + time) }
  }

  /// Hands out nothing more.
  func close() {
    state.withLock { $0.isClosed = true }
    ring.finish()
  }

  private var isClosed: Bool { state.withLock { $0.isClosed } }

  /// The next job, when there is one; nil after ``close()``.
  func next() async -> Delivery? {
    await turn.take()
    defer { turn.give() }
    while !isClosed {
      do {
        if let delivery = try await poll() { return delivery }
      } catch {
        // A server that is away, or streams that nobody has made yet.
        try? await Task.sleep(for: .milliseconds(500))
        continue
      }
      let alarm = Task { [ring] in
        try? await Task.sleep(for: Self.sweepInterval)
        ring.yield()
      }
      for await _ in bell { break }
      alarm.cancel()
    }
    return nil
  }

  /// Asks the lanes that may have a job.
  private func poll() async throws -> Delivery? {
    let now = ContinuousClock.now
    let lanes = state.withLock { state -> [Lane] in
      guard now >= state.pause else { return [] }
      if now - state.sweep >= Self.sweepInterval {
        state.sweep = now
        state.turns.hintAll()
      }
      return state.turns.order()
    }
    for lane in lanes {
      // Before the pull: a hint that arrives meanwhile counts.
      state.withLock { $0.turns.unhint(lane) }
      do {
        if let delivery = try await puller.next(of: lane.consumer, in: ClusterNames.jobs) {
          let mayHaveMore = delivery.pendingCount > 0
          state.withLock { state in
            state.turns.took(lane)
            if mayHaveMore { state.turns.hint(lane) }
          }
          return delivery
        }
      } catch let error as NATSError where error.code == .noResponders {
        // Nobody asked for this model yet.
      }
    }
    return nil
  }
}
