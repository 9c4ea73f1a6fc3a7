internal import Synchronization

/// The server's metrics in Prometheus' format.
///
/// Equal names and labels identify a series, independently of the labels' order. If two types of
/// metric use one name, the second gets its type as a suffix. Beyond the maximum number of series,
/// further ones of a metric are combined, labelled `overflow="true"`.
final class PrometheusRegistry: Sendable {
  private let families = Mutex(PrometheusFamilies())
  private let maximumSeriesCount: Int
  private let help: [String: String]

  /// The labels of the combined series beyond the maximum.
  private static let overflow = PrometheusText.labels([("overflow", "true")])

  /// Creates a registry without metrics.
  ///
  /// - Parameters:
  ///   - maximumSeriesCount: the maximum number of series, besides one overflow series per metric.
  ///   - help: descriptions of metrics, by the names that the program uses.
  init(maximumSeriesCount: Int = 2000, help: [String: String] = [:]) {
    self.maximumSeriesCount = maximumSeriesCount
    self.help = help
  }

  /// Adds a gauge that is evaluated when the metrics are read; it has no line while it is nil.
  ///
  /// Replaces a gauge with the same name and labels.
  func gauge(
    _ name: String, help: String, labels: [(String, String)] = [],
    read: @escaping @Sendable () -> Double?
  ) {
    families.withLock {
      let name = $0.name(PrometheusText.metricName(name), .gauge)
      let labels = PrometheusText.labels(labels)
      $0.set(PrometheusReading(read), labels, of: name, .gauge, help: help)
    }
  }

  /// The handler of a metric's series, created if necessary.
  ///
  /// - Parameters:
  ///   - label: the program's name of the metric.
  ///   - suffix: the suffix by Prometheus' conventions.
  ///   - dimensions: the labels.
  ///   - kind: the type of the metric.
  ///   - make: creates a handler.
  func handler<Handler: PrometheusHandler>(
    _ label: String, suffix: String = "", _ dimensions: [(String, String)],
    _ kind: PrometheusFamily.Kind, _ make: () -> Handler
  ) -> Handler {
    let base = PrometheusText.metricName(label)
    let labels = PrometheusText.labels(dimensions)
    return families.withLock { families in
      var name = families.name(base.hasSuffix(suffix) ? base : base + suffix, kind)
      var key = labels
      if let found = families[name]?.series[key] as? Handler { return found }
      if families.seriesCount >= maximumSeriesCount {
        // New metrics beyond the limit share one.
        if families[name] == nil { name = families.name("overflow" + suffix, kind) }
        key = Self.overflow
        if let found = families[name]?.series[key] as? Handler { return found }
      }
      let handler = make()
      families.set(handler, key, of: name, kind, help: help[label] ?? label)
      return handler
    }
  }

  /// Removes the series of a handler, except an overflow series.
  func remove(_ handler: AnyObject) {
    families.withLock { families in
      for (name, family) in families.byName {
        for (labels, found) in family.series where found === handler && labels != Self.overflow {
          families.remove(labels, of: name)
        }
      }
    }
  }

  /// All metrics in Prometheus' text format 0.0.4, sorted by name and labels.
  func text() -> String {
    // Values are read outside the lock, since reading may create metrics.
    families.withLock { $0.byName }.values.sorted { $0.name < $1.name }.map { $0.text() }.joined()
  }
}
