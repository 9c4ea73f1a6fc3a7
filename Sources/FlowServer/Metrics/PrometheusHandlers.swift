internal import Metrics
internal import Synchronization

/// The value of a series of a metric.
protocol PrometheusHandler: AnyObject, Sendable {
  /// The lines of the series with a name and labels.
  func text(_ name: String, _ labels: String) -> String
}

/// A counter, which never decreases.
final class PrometheusCounter: CounterHandler, FloatingPointCounterHandler, PrometheusHandler {
  private let value = Mutex(0.0)

  func increment(by amount: Int64) { increment(by: Double(amount)) }

  /// Adds to the counter; ignores negative amounts, NaN and infinity.
  func increment(by amount: Double) {
    guard amount > 0 else { return }
    value.withLock { $0 += amount }
  }

  func reset() { value.withLock { $0 = 0 } }

  func text(_ name: String, _ labels: String) -> String {
    PrometheusText.sample(name, labels, PrometheusText.number(value.withLock { $0 }))
  }
}

/// A value that may rise and fall.
final class PrometheusGauge: MeterHandler, RecorderHandler, PrometheusHandler {
  private let value = Mutex(0.0)

  func set(_ number: Int64) { set(Double(number)) }
  func set(_ number: Double) { value.withLock { $0 = number } }
  func increment(by amount: Double) { value.withLock { $0 += amount } }
  func decrement(by amount: Double) { value.withLock { $0 -= amount } }
  func record(_ number: Int64) { set(Double(number)) }
  func record(_ number: Double) { set(number) }

  func text(_ name: String, _ labels: String) -> String {
    PrometheusText.sample(name, labels, PrometheusText.number(value.withLock { $0 }))
  }
}

/// A value that is computed when the metrics are read.
final class PrometheusReading: PrometheusHandler {
  private let read: @Sendable () -> Double?

  init(_ read: @escaping @Sendable () -> Double?) { self.read = read }

  func text(_ name: String, _ labels: String) -> String {
    read().map { PrometheusText.sample(name, labels, PrometheusText.number($0)) } ?? ""
  }
}
