internal import Synchronization

/// The server's metrics, as Prometheus reads them.
///
/// The same name and labels are the same series, whatever the labels' order. A name that two kinds
/// of metric claim gets the second's kind behind it. Beyond the most series that there may be,
/// further ones of a metric are counted as one, labelled `overflow="true"`.
final class PrometheusRegistry: Sendable {
  private let families = Mutex(PrometheusFamilies())
  private let maximumSeriesCount: Int
  private let help: [String: String]

  /// The labels of the series that stands for those beyond the most there may be.
  private static let overflow = PrometheusText.labels([("overflow", "true")])

  /// Creates a registry without metrics.
  ///
  /// - Parameters:
  ///   - maximumSeriesCount: the most series, besides one a metric for those beyond.
  ///   - help: what metrics mean, by the names that the program gives them.
  init(maximumSeriesCount: Int = 2000, help: [String: String] = [:]) {
    self.maximumSeriesCount = maximumSeriesCount
    self.help = help
  }

  /// Adds a gauge that is read when the metrics are; it has no line while it is nil.
  ///
  /// One of the same name and labels is replaced.
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

  /// The handler of a metric's series, made where it is not there.
  ///
  /// - Parameters:
  ///   - label: the name that the program gives the metric.
  ///   - suffix: what the name ends in by Prometheus' custom.
  ///   - dimensions: the labels.
  ///   - kind: what the metric is.
  ///   - make: makes a handler.
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
        // A metric that is new shares one with all others that are.
        if families[name] == nil { name = families.name("overflow" + suffix, kind) }
        key = Self.overflow
        if let found = families[name]?.series[key] as? Handler { return found }
      }
      let handler = make()
      families.set(handler, key, of: name, kind, help: help[label] ?? label)
      return handler
    }
  }

  /// Forgets the series of a handler; the one that stands for many stays.
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
    // Values are read without the lock: what reads them may make metrics of its own.
    families.withLock { $0.byName }.values.sorted { $0.name < $1.name }.map { $0.text() }.joined()
  }
}
