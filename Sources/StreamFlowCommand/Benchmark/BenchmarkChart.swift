internal import Foundation

/// Charts as SVG, in colors that suit light and dark pages.
enum BenchmarkChart {
  /// A bar for each label.
  static func bars(title: String, unit: String, _ bars: [(label: String, value: Double)]) -> String
  {
    let (left, barHeight, gap, top, width) = (330.0, 22.0, 10.0, 52.0, 820.0)
    let height = top + Double(bars.count) * (barHeight + gap) + 14
    let most = bars.map(\.value).max() ?? 1
    let scale = (width - left - 110) / max(most, 1e-9)
    var body = ""
    for (index, bar) in bars.enumerated() {
      let y = top + Double(index) * (barHeight + gap)
      let middle = y + barHeight / 2 + 4.5
      body += """
        <text class="label" x="\(number(left - 10))" y="\(number(middle))" text-anchor="end">\
        \(escaped(bar.label))</text>
        <rect class="bar" x="\(number(left))" y="\(number(y))" \
        width="\(number(max(bar.value * scale, 1)))" height="\(number(barHeight))" rx="3"/>
        <text class="value" x="\(number(left + max(bar.value * scale, 1) + 8))" \
        y="\(number(middle))">\(significant(bar.value))</text>

        """
    }
    return document(title: title, subtitle: unit, width: width, height: height, body: body)
  }

  /// A line for each name over a shared x axis, both axes logarithmic.
  static func lines(
    title: String, unit: String, places: [String],
    _ lines: [(label: String, values: [Double?])]
  ) -> String {
    let (left, right, top, width, height) = (70.0, 200.0, 62.0, 820.0, 420.0)
    let bottom = height - 46
    let values = lines.flatMap { $0.values.compactMap(\.self) }.filter { $0 > 0 }
    let low = floor(log10(values.min() ?? 1))
    let high = max(ceil(log10(values.max() ?? 10)), low + 1)
    func x(_ index: Int) -> Double {
      left + (width - left - right) * Double(index) / Double(max(places.count - 1, 1))
    }
    func y(_ value: Double) -> Double {
      bottom - (bottom - top) * (log10(value) - low) / (high - low)
    }
    var body = ""
    for power in Int(low)...Int(high) {
      let place = y(pow(10, Double(power)))
      body += """
        <line class="grid" x1="\(number(left))" x2="\(number(width - right))" \
        y1="\(number(place))" y2="\(number(place))"/>
        <text class="value" x="\(number(left - 10))" y="\(number(place + 4.5))" \
        text-anchor="end">\(significant(pow(10, Double(power))))</text>

        """
    }
    for (index, place) in places.enumerated() {
      body += """
        <text class="value" x="\(number(x(index)))" y="\(number(bottom + 30))" \
        text-anchor="middle">\(escaped(place))</text>

        """
    }
    for (index, line) in lines.enumerated() {
      let points = line.values.enumerated().compactMap { place, value in
        value.flatMap { $0 > 0 ? (x(place), y($0)) : nil }
      }
      let path = points.map { "\(number($0.0)),\(number($0.1))" }.joined(separator: " ")
      body += "<polyline class=\"line line\(index % 8)\" points=\"\(path)\"/>\n"
      for point in points {
        body += """
          <circle class="dot dot\(index % 8)" cx="\(number(point.0))" cy="\(number(point.1))" \
          r="4"/>

          """
      }
    }
    // The names at the ends of their lines, from the top down; overlapping names are moved apart.
    let ends = lines.enumerated().compactMap { index, line in
      line.values.enumerated().reversed().lazy.compactMap { place, value in
        value.flatMap { $0 > 0 ? (index: index, x: x(place), y: y($0)) : nil }
      }.first
    }.sorted { $0.y < $1.y }
    var lowest = -Double.infinity
    for end in ends {
      lowest = max(end.y + 4.5, lowest + 18)
      body += """
        <text class="name name\(end.index % 8)" x="\(number(end.x + 12))" \
        y="\(number(lowest))">\(escaped(lines[end.index].label))</text>

        """
    }
    return document(title: title, subtitle: unit, width: width, height: height, body: body)
  }

  private static let light = [
    "0969da", "bf3989", "1a7f37", "9a6700", "8250df", "cf222e", "1b7c83", "57606a",
  ]
  private static let dark = [
    "4493f8", "db61a2", "3fb950", "d29922", "ab7df8", "f85149", "39c5cf", "9198a1",
  ]

  /// The rules of lines, dots and names in some colors.
  private static func rules(_ colors: [String]) -> String {
    colors.enumerated().map { index, color in
      ".line\(index) { stroke: #\(color) } .dot\(index), .name\(index) { fill: #\(color) }"
    }.joined(separator: " ")
  }

  private static func document(
    title: String, subtitle: String, width: Double, height: Double, body: String
  ) -> String {
    """
    <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(number(width)) \(number(height))" \
    role="img" aria-label="\(escaped(title))">
    <title>\(escaped(title))</title>
    <style>
    text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
    .title { font-size: 16px; font-weight: 600 }
    .value, .subtitle { fill: #59636e }
    .bar { fill: #0969da }
    .grid { stroke: #d1d9e0; stroke-width: 1 }
    .line { fill: none; stroke-width: 2.5 }
    \(rules(light))
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc }
      .value, .subtitle { fill: #9198a1 }
      .bar { fill: #4493f8 }
      .grid { stroke: #3d444d }
      \(rules(dark))
    }
    </style>
    <text class="title" x="16" y="24">\(escaped(title))</text>
    <text class="subtitle" x="16" y="42">\(escaped(subtitle))</text>
    \(body)</svg>

    """
  }

  private static func number(_ value: Double) -> String { String(format: "%.1f", value) }

  /// A number with three significant digits.
  static func significant(_ value: Double) -> String {
    if value > 0, value < 0.001 { return String(format: "%.3g", value) }
    let digits = value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : value >= 0.1 ? 3 : 4
    return String(format: "%.\(digits)f", value)
  }

  private static func escaped(_ text: String) -> String {
    text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
      .replacing("\"", with: "&quot;")
  }
}
