/// All series of one metric.
struct PrometheusFamily {
  /// The type of a metric.
  enum Kind: String {
    case counter, gauge, histogram

    /// The sample names of a metric.
    func sampleNames(_ name: String) -> [String] {
      self == .histogram ? [name, "\(name)_bucket", "\(name)_sum", "\(name)_count"] : [name]
    }
  }

  let name: String
  let kind: Kind
  let help: String
  /// The series by their formatted labels.
  var series: [String: any PrometheusHandler] = [:]

  /// The lines of a metric; empty if no series has a value.
  func text() -> String {
    let samples = series.sorted { $0.key < $1.key }.map { $1.text(name, $0) }.joined()
    guard !samples.isEmpty else { return "" }
    let help = PrometheusText.escape(help.unicodeScalars, quotes: false)
    return "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n" + samples
  }
}

/// The metrics of a registry by name.
struct PrometheusFamilies {
  private(set) var byName: [String: PrometheusFamily] = [:]
  /// The names of all samples of all metrics.
  private var taken: Set<String> = []
  private(set) var seriesCount = 0

  subscript(name: String) -> PrometheusFamily? { byName[name] }

  /// The name of a metric: the requested one, or a variant if another type uses it.
  func name(_ wanted: String, _ kind: PrometheusFamily.Kind) -> String {
    var candidate = wanted
    var number = 1
    while byName[candidate].map({ $0.kind != kind })
      ?? !taken.isDisjoint(with: kind.sampleNames(candidate))
    {
      candidate = "\(wanted)_\(kind.rawValue)" + (number == 1 ? "" : "_\(number)")
      number += 1
    }
    return candidate
  }

  /// Adds or replaces a series, and adds its metric if it is new.
  ///
  /// - Parameter name: a name from ``name(_:_:)``.
  mutating func set(
    _ handler: any PrometheusHandler, _ labels: String, of name: String,
    _ kind: PrometheusFamily.Kind, help: String
  ) {
    taken.formUnion(kind.sampleNames(name))
    var family = byName[name] ?? PrometheusFamily(name: name, kind: kind, help: help)
    if family.series.updateValue(handler, forKey: labels) == nil { seriesCount += 1 }
    byName[name] = family
  }

  /// Removes a series, and its metric with the last one.
  mutating func remove(_ labels: String, of name: String) {
    guard byName[name]?.series.removeValue(forKey: labels) != nil, let family = byName[name] else {
      return
    }
    seriesCount -= 1
    guard family.series.isEmpty else { return }
    byName[name] = nil
    taken.subtract(family.kind.sampleNames(name))
  }
}
