internal import FlowServer
internal import Synchronization

/// The workers that were heard of lately, and the models.
final class Fleet: Sendable {
  private struct Member {
    var heartbeat: Heartbeat
    var heard: ContinuousClock.Instant
    /// The live streams that were opened since, without those that were ended.
    var openedCount = 0

    var streamCount: Int { max((heartbeat.streams?.count ?? 0) + openedCount, 0) }
  }

  private struct State {
    var members: [String: Member] = [:]
    /// What workers said of models, those that are away included.
    var models: [String: AnnouncedModel] = [:]
    /// In the order in which they became known: the first is the default.
    var modelNames: [String] = []
  }

  private let state = Mutex(State())

  /// The models of a worker that nothing is known of yet.
  func unknownModels(of heartbeat: Heartbeat) -> [String] {
    state.withLock { state in heartbeat.worker.models.filter { state.models[$0] == nil } }
  }

  /// Notes that a worker is there.
  func hear(_ heartbeat: Heartbeat) {
    state.withLock { state in
      state.members[heartbeat.worker.name] = Member(heartbeat: heartbeat, heard: .now)
    }
  }

  /// Notes that a worker has left.
  func forget(_ name: String) { state.withLock { $0.members[name] = nil } }

  /// Notes what is known of a model.
  func learn(_ announced: AnnouncedModel) {
    state.withLock { state in
      let name = announced.model.name
      if state.models.updateValue(announced, forKey: name) == nil { state.modelNames.append(name) }
    }
  }

  private static func present(_ state: State) -> [Member] {
    let now = ContinuousClock.now
    return state.members.values.filter { now - $0.heard < ClusterLayout.heartbeatLifetime }
      .sorted { $0.heartbeat.worker.name < $1.heartbeat.worker.name }
  }

  /// The workers.
  var workers: [ServiceWorker] {
    state.withLock { state in
      let now = ContinuousClock.now
      return Self.present(state).map { member in
        var worker = member.heartbeat.worker
        worker.ageSeconds = (now - member.heard) / .seconds(1)
        return worker
      }
    }
  }

  /// The names of the models.
  var modelNames: [String] { state.withLock { $0.modelNames } }

  /// What is known of a model.
  func announced(_ name: String) -> AnnouncedModel? { state.withLock { $0.models[name] } }

  /// The models with the images that all workers make of them.
  var models: [ServiceModel] {
    state.withLock { state in
      let present = Self.present(state)
      return state.modelNames.compactMap { name in
        guard let known = state.models[name]?.model else { return nil }
        let there = present.flatMap { $0.heartbeat.models }.filter { $0.name == name }
        // Workers of a later version than the one that announced it tell more.
        return ServiceModel(
          name: name, state: there.isEmpty ? "unloaded" : "ready",
          details: there.compactMap(\.details).last ?? known.details,
          memoryBytes: there.reduce(0) { $0 + $1.memoryBytes }, batches: there.flatMap(\.batches))
      }
    }
  }

  /// Whether a worker of a model is there.
  func hasWorker(of model: String) -> Bool {
    state.withLock { state in
      Self.present(state).contains { $0.heartbeat.worker.models.contains(model) }
    }
  }

  /// The workers that take live streams of a model, those with the fewest images first.
  func liveHosts(of model: String) -> [LiveHost] {
    state.withLock { state in
      Self.present(state)
        .filter { member in
          member.heartbeat.worker.models.contains(model) && member.heartbeat.isDraining != true
        }
        .sorted { $0.heartbeat.worker.busy < $1.heartbeat.worker.busy }
        .compactMap(\.heartbeat.live)
    }
  }

  /// The live streams of a worker, or of all where it is nil.
  func streamCount(at name: String?) -> Int {
    state.withLock { state in
      Self.present(state).filter { name == nil || $0.heartbeat.worker.name == name }
        .reduce(0) { $0 + $1.streamCount }
    }
  }

  /// Notes how many live streams a worker has beyond those that it last reported.
  func noteStreams(_ change: Int, at name: String) {
    state.withLock { $0.members[name]?.openedCount += change }
  }

  /// Where the live streams of a worker are reached.
  func liveHost(named name: String) -> LiveHost? {
    state.withLock { state in
      Self.present(state).first { $0.heartbeat.worker.name == name }?.heartbeat.live
    }
  }

  /// The live streams of all workers.
  var liveReports: [LiveReport] {
    state.withLock { state in
      Self.present(state).flatMap { member in
        (member.heartbeat.streams ?? []).map { report in
          var report = report
          report.worker = member.heartbeat.worker.name
          return report
        }
      }
    }
  }

  /// How many more images the workers of a model can make at once, as of their last reports.
  func freeCount(of model: String) -> Int {
    state.withLock { state in
      let now = ContinuousClock.now
      return state.members.values.reduce(0) { count, member in
        let worker = member.heartbeat.worker
        guard now - member.heard < ClusterLayout.heartbeatLifetime, worker.models.contains(model)
        else { return count }
        return count + max(worker.capacity - worker.busy, 0)
      }
    }
  }

  /// The images a second that the workers of a model make, about; 0 where nothing is known.
  func rate(of model: String) -> Double {
    workers.filter { $0.models.contains(model) }.reduce(0) { rate, worker in
      // At full load it makes as many as it can hold within the time of one.
      rate + (worker.imageSeconds > 0 ? Double(worker.capacity) / worker.imageSeconds : 0)
    }
  }
}
