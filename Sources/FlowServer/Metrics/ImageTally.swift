internal import Metrics
internal import Synchronization

/// Counts finished images, of requests and of live streams.
final class ImageTally: Sendable {
  /// The purpose of an image.
  enum Source: String, CaseIterable, Sendable {
    case request, live
  }

  private struct State {
    var count = 0
    /// Images by interval since the start.
    var all: [Int: Int] = [:]
    var requested: [Int: Int] = [:]
  }

  /// The length of an interval in seconds.
  static let interval = 5
  /// The number of reported intervals: ten minutes.
  private static let reported = 120

  private let start = ContinuousClock.now
  private let state = Mutex(State())
  private let counters: [Source: Counter]

  init(metrics: PrometheusRegistry) {
    counters = Dictionary(
      uniqueKeysWithValues: Source.allCases.map { source in
        let dimensions = [("source", source.rawValue)]
        return (
          source, Counter(label: "streamflow_pictures", dimensions: dimensions, factory: metrics)
        )
      })
  }

  /// Counts an image.
  func add(_ source: Source) {
    counters[source]?.increment()
    let now = current
    state.withLock { state in
      state.count += 1
      state.all[now, default: 0] += 1
      if source == .request { state.requested[now, default: 0] += 1 }
      guard state.all.count > 200 else { return }
      state.all = state.all.filter { $0.key > now - Self.reported }
      state.requested = state.requested.filter { $0.key > now - Self.reported }
    }
  }

  /// The number of images since the start.
  var count: Int { state.withLock { $0.count } }

  /// Images of requests per second over the last minute, for estimates; 1 if there were none.
  var requestRate: Double {
    let now = current
    let recent = state.withLock { state in
      state.requested.filter { $0.key >= now - 12 && $0.key < now }
    }
    guard !recent.isEmpty else { return 1 }
    return Double(recent.values.reduce(0, +)) / Double(Self.interval * max(min(now, 12), 1))
  }

  /// The images of the last ten minutes by interval, oldest first.
  var recent: [(secondsAgo: Int, pictures: Int)] {
    let now = current
    let all = state.withLock { $0.all }
    return (max(now - Self.reported + 1, 0)...now).map {
      (Self.interval * (now - $0), all[$0] ?? 0)
    }
  }

  private var current: Int { Int((ContinuousClock.now - start) / .seconds(Self.interval)) }
}
