internal import FlowNATS
internal import FlowServer
internal import Synchronization

/// The jobs of a worker's models, one at a time.
///
/// One pull at a time asks one lane for one job: a worker takes as many as it may hold and never more,
/// so what waits stays where another worker can take it. A worker asks the lanes that it heard of: while it
/// waits, the server offers each new job to one of the workers that wait; all hear news of lanes whose jobs are
/// left. So a job costs the server a message or two, however many workers wait.
final class JobQueue: Sendable {
  private struct State {
    var turns: LaneTurns
    var isClosed = false
    /// Until when nothing is taken, after this worker failed.
    var pause = ContinuousClock.now
    var sweep = ContinuousClock.now
    /// The callers of `next()`.
    var waiting = 0
    /// The offers of jobs while this worker waits; changed by the caller that has the turn, and by `close()`.
    var offers: [NATSSubscription] = []
    /// How often it looked for a job.
    var lookCount = 0
    /// The news of lanes.
    var news: [NATSSubscription] = []
  }

  /// How often all lanes are asked: a gateway offers jobs that come back from others, so this is for a
  /// fleet without one.
  static let sweepInterval = Duration.seconds(60)

  private let connection: NATSConnection
  private let puller: Puller
  private let models: [String]
  private let state: Mutex<State>
  private let turn = Turn()
  private let bell: AsyncStream<Void>
  private let ring: AsyncStream<Void>.Continuation

  init(_ connection: NATSConnection, _ stream: JetStream, models: [String]) throws {
    (self.connection, self.models) = (connection, models)
    puller = try Puller(stream)
    state = Mutex(State(turns: LaneTurns(models: models)))
    (bell, ring) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    let news = try models.map { model in
      try connection.subscribe(Lane.newsSubjects(of: model)) { [weak self] in
        self?.hear($0.subject)
      }
    }
    state.withLock { $0.news = news }
  }

  /// Notes a lane that may have jobs.
  private func hear(_ subject: String) {
    guard let lane = Lane(callSubject: subject) else { return }
    state.withLock { $0.turns.hint(lane) }
  }

  /// Takes nothing for a time.
  func pause(for time: Duration) {
    state.withLock { $0.pause = max($0.pause, .now + time) }
    // A caller that waits leaves offers to others meanwhile.
    ring.yield()
  }

  /// Hands out nothing more.
  func close() {
    // Released outside of the lock: the end of a subscription may wait for its callback.
    let subscriptions = state.withLock { state in
      state.isClosed = true
      defer { (state.offers, state.news) = ([], []) }
      return state.offers + state.news
    }
    withExtendedLifetime(subscriptions) {}
    ring.finish()
  }

  /// How often it looked for a job in the lanes that may have one.
  var lookCount: Int { state.withLock { $0.lookCount } }

  private var isClosed: Bool { state.withLock { $0.isClosed } }

  /// The next job, when there is one; nil after ``close()``.
  func next() async -> Delivery? {
    state.withLock { $0.waiting += 1 }
    await turn.take()
    defer { turn.give() }
    let delivery = await delivery()
    let isBusy = state.withLock { state in
      state.waiting -= 1
      return state.waiting == 0
    }
    if isBusy { refuseOffers() }
    return delivery
  }

  private func delivery() async -> Delivery? {
    while !isClosed {
      let pause = state.withLock { $0.pause }
      if pause > .now {
        refuseOffers()
        try? await Task.sleep(until: pause, clock: .continuous)
        continue
      }
      do {
        if let delivery = try await poll() { return delivery }
        try takeOffers()
        // Lanes with news from before this worker was one of those that wait.
        if let delivery = try await poll() { return delivery }
      } catch {
        // A server that is away, or streams that nobody has made yet.
        try? await Task.sleep(for: .milliseconds(500))
        continue
      }
      let alarm = Task { [ring] in
        // A canceled alarm does not ring: this would be a loop without end.
        do { try await Task.sleep(for: Self.sweepInterval) } catch { return }
        ring.yield()
      }
      for await _ in bell { break }
      alarm.cancel()
    }
    return nil
  }

  // MARK: - Offers

  /// Makes this worker one of those that wait for jobs of its models.
  private func takeOffers() throws {
    guard state.withLock({ $0.offers.isEmpty && !$0.isClosed }) else { return }
    let offers = try models.map { model in
      try connection.subscribe(Lane.offerSubjects(of: model), group: ClusterNames.waiting) {
        [weak self] message in
        self?.hear(message.subject)
        self?.ring.yield()
      }
    }
    state.withLock { state in if !state.isClosed { state.offers = offers } }
  }

  /// Leaves offers to others, while this worker makes all that it can or has failed.
  private func refuseOffers() {
    let offers = state.withLock { state in
      defer { state.offers = [] }
      return state.offers
    }
    withExtendedLifetime(offers) {}
  }

  // MARK: - Lanes

  /// Asks the lanes that may have a job.
  private func poll() async throws -> Delivery? {
    let now = ContinuousClock.now
    let lanes = state.withLock { state -> [Lane] in
      state.lookCount += 1
      guard now >= state.pause else { return [] }
      if now - state.sweep >= Self.sweepInterval {
        state.sweep = now
        state.turns.hintAll()
      }
      return state.turns.order()
    }
    var failure: NATSError?
    for lane in lanes {
      // Before the pull: a hint that arrives meanwhile counts.
      state.withLock { $0.turns.unhint(lane) }
      do {
        if let delivery = try await puller.next(of: lane.consumer, in: ClusterNames.jobs) {
          // Jobs that another worker left behind come back together, and are not counted as pending.
          let mayHaveMore = delivery.pendingCount > 0 || delivery.count > 1
          state.withLock { state in
            state.turns.took(lane)
            if mayHaveMore { state.turns.hint(lane) }
          }
          return delivery
        }
      } catch let error as NATSError where error.code == .noResponders {
        // Nobody asked for this model yet.
      } catch let error as NATSError {
        // It may have a job still; the other lanes do not wait for it.
        state.withLock { $0.turns.hint(lane) }
        failure = error
        if error.code == .closed || error.code == .unreachable { break }
      }
    }
    if let failure { throw failure }
    return nil
  }
}
