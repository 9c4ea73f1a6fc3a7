internal import Metrics
internal import Synchronization

/// A histogram with fixed buckets.
final class PrometheusHistogram: TimerHandler, RecorderHandler, PrometheusHandler {
  /// The upper bounds of times, in seconds.
  static let timeBounds = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600,
  ]
  /// The upper bounds for values of unknown range.
  static let numberBounds: [Double] = [
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 100_000, 1_000_000,
  ]

  private struct State {
    /// The number of values in each bucket alone; the last bucket is unbounded.
    var counts: [UInt64]
    var sum = 0.0
  }

  private let bounds: [Double]
  private let state: Mutex<State>

  init(bounds: [Double]) {
    self.bounds = bounds
    state = Mutex(State(counts: Array(repeating: 0, count: bounds.count + 1)))
  }

  func recordNanoseconds(_ duration: Int64) { record(Double(max(duration, 0)) / 1e9) }
  func record(_ number: Int64) { record(Double(number)) }

  /// Records a value; ignores NaN and infinity.
  func record(_ number: Double) {
    guard !number.isNaN else { return }
    let bucket = bounds.firstIndex { number <= $0 } ?? bounds.count
    state.withLock {
      $0.counts[bucket] += 1
      $0.sum += number
    }
  }

  func text(_ name: String, _ labels: String) -> String {
    let (counts, sum) = state.withLock { ($0.counts, $0.sum) }
    let prefix = labels.isEmpty ? "" : labels + ","
    var text = ""
    var total: UInt64 = 0
    for (bound, count) in zip(bounds + [.infinity], counts) {
      total += count
      let bucket = "\(prefix)le=\"\(PrometheusText.number(bound))\""
      text += PrometheusText.sample("\(name)_bucket", bucket, "\(total)")
    }
    text += PrometheusText.sample("\(name)_sum", labels, PrometheusText.number(sum))
    text += PrometheusText.sample("\(name)_count", labels, "\(total)")
    return text
  }
}
