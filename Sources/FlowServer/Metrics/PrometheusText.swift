/// Names, labels and numbers in Prometheus' text format 0.0.4.
enum PrometheusText {
  /// The media type of the format.
  static let contentType = "text/plain; version=0.0.4; charset=utf-8"

  /// The maximum length of a label's value; longer values are truncated.
  private static let valueLimit = 256

  /// A valid metric name; invalid characters become `_`.
  static func metricName(_ label: String) -> String { legal(label, taking: ":") }

  /// A valid label name; `le` is reserved for histograms, and two underscores for Prometheus.
  static func labelName(_ name: String) -> String {
    let name = legal(name, taking: "_")
    return name == "le" || name.hasPrefix("__") ? "label_" + name : name
  }

  private static func legal(_ text: String, taking other: Unicode.Scalar) -> String {
    var name = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "a"..."z", "A"..."Z", "_", other: name.unicodeScalars.append(scalar)
      case "0"..."9":
        if name.isEmpty { name = "_" }
        name.unicodeScalars.append(scalar)
      default: name += "_"
      }
    }
    return name.isEmpty ? "_" : name
  }

  /// Formatted labels, sorted by name: `method="GET",route="/"`.
  ///
  /// An empty label equals a missing one in Prometheus. Labels whose names become equal are joined,
  /// as in OpenTelemetry's exporters.
  static func labels(_ dimensions: [(String, String)]) -> String {
    var values: [String: String] = [:]
    for (name, value) in dimensions where !value.isEmpty {
      let name = labelName(name)
      values[name] = values[name].map { "\($0);\(value)" } ?? value
    }
    return values.sorted { $0.key < $1.key }
      .map { "\($0)=\"\(escape($1.unicodeScalars.prefix(valueLimit), quotes: true))\"" }
      .joined(separator: ",")
  }

  /// A text with escaped backslashes, line ends and, in labels, quotes.
  static func escape(_ text: some Sequence<Unicode.Scalar>, quotes: Bool) -> String {
    var escaped = ""
    for scalar in text {
      switch scalar {
      case "\\": escaped += "\\\\"
      case "\n": escaped += "\\n"
      case "\"" where quotes: escaped += "\\\""
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }

  /// A formatted number; integers have no fraction.
  static func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
    return Int(exactly: value).map { "\($0)" } ?? "\(value)"
  }

  /// The line of a sample.
  static func sample(_ name: String, _ labels: String, _ value: String) -> String {
    labels.isEmpty ? "\(name) \(value)\n" : "\(name){\(labels)} \(value)\n"
  }
}
