internal import Foundation

/// A benchmark as JSON, Markdown and charts.
struct BenchmarkReport: Codable {
  /// The results at one size.
  struct Part: Codable {
    let width: Int
    let height: Int
    let results: [BenchmarkResult]
    /// The differences of the images, if the suite compares precisions.
    var quality: [QualityStudy.Row] = []
  }

  let suite: String
  let model: String
  let machine: MachineDescription
  var parts: [Part] = []
  var quality: [QualityStudy.Row] = []
  var live: [LiveStudy.Part] = []
  var editing: EditingStudy.Report?
  var solvers: [SolverStudy.Part] = []
  var profiles: [ProfileStudy.Part] = []
  /// Whether results are missing because the benchmark was interrupted.
  var isInterrupted = false

  /// Whether it has no results.
  var isEmpty: Bool {
    parts.isEmpty && quality.isEmpty && live.isEmpty && solvers.isEmpty && profiles.isEmpty
      && editing == nil
  }

  /// The files of the report by name.
  func files() throws -> [(name: String, bytes: [UInt8])] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    encoder.keyEncodingStrategy = .convertToSnakeCase
    var files = [
      ("\(suite).json", Array(try encoder.encode(self)) + [UInt8(ascii: "\n")]),
      ("\(suite).md", Array(markdown(hasChart: true).utf8)),
    ]
    if let chart { files.append(("\(suite).svg", Array(chart.utf8))) }
    for (index, part) in solvers.enumerated() {
      files.append((Self.chartName(index), Array(part.chart.utf8)))
    }
    return files
  }

  // MARK: - Markdown

  /// The report in Markdown.
  ///
  /// - Parameter hasChart: whether the chart is a file beside it.
  func markdown(hasChart: Bool) -> String {
    var text = "# \(suite.capitalized): \(model)\n\n"
    text += "\(machine.line).\n\n    \(machine.command)\n\n"
    if isInterrupted { text += "The benchmark was interrupted; results are missing.\n\n" }
    if hasChart, chart != nil { text += "![\(suite)](\(suite).svg)\n\n" }
    for part in parts {
      if parts.count > 1 { text += "## \(part.width) x \(part.height)\n\n" }
      text += table(part)
      if !part.quality.isEmpty { text += Self.table(part.quality) }
    }
    if !quality.isEmpty { text += Self.table(quality) }
    for (index, part) in solvers.enumerated() {
      text += part.table
      if hasChart { text += "![\(part.name)](\(Self.chartName(index)))\n\n" }
    }
    for part in profiles { text += part.table }
    for part in live { text += part.table }
    if let editing { text += editing.table }
    return text
  }

  private static func chartName(_ index: Int) -> String { "solvers-\(index + 1).svg" }

  private func table(_ part: Part) -> String {
    guard let first = part.results.first else { return "" }
    let hasEnergy = part.results.contains { $0.samples.contains { $0.joules != nil } }
    var header = [
      "", "configuration", "images/s, median (10 %, 90 %)", "speedup", "CPU s per image",
    ]
    if hasEnergy { header.append("J per image") }
    header += ["ms per row", "peak memory"]
    return BenchmarkTable(header: header, rows: part.results.map { row($0, first, hasEnergy) }).text
  }

  private func row(
    _ result: BenchmarkResult, _ first: BenchmarkResult, _ hasEnergy: Bool
  ) -> [String] {
    let entry = result.entry
    guard result.failure == nil, let rate = result.medianRate else {
      let reason = result.failure.map { "failed: \($0)" } ?? "not measured"
      return [entry.number, entry.label, reason]
    }
    let spread = [0.1, 0.9].map {
      BenchmarkChart.significant(Statistics.quantile(result.rates, $0))
    }
    let cpu = result.median { $0.cpuSeconds / Double($0.pictures) } ?? 0
    var cells = [
      entry.number, entry.label,
      "\(BenchmarkChart.significant(rate)) (\(spread[0]), \(spread[1]))",
      result.speedup(over: first).map { String(format: "%.2f", $0) } ?? "",
      BenchmarkChart.significant(cpu),
    ]
    if hasEnergy {
      let energy = result.median { sample in sample.joules.map { $0 / Double(sample.pictures) } }
      cells.append(energy.map(BenchmarkChart.significant) ?? "")
    }
    cells.append(
      result.median(\.rowSeconds).map { BenchmarkChart.significant(1000 * $0) } ?? "")
    let peak = Double(result.samples.map(\.peakBytes).max() ?? 0) / 1e9
    return cells + [String(format: "%.2f GB", peak)]
  }

  private static func table(_ quality: [QualityStudy.Row]) -> String {
    func share(_ share: Double?, _ row: QualityStudy.Row) -> String {
      share.map { String(format: "%.1f %% ± %.1f", 100 * $0, 100 * row.error(of: $0)) } ?? ""
    }
    let rows = quality.map { row in
      let ratio = row.meanPsnr.map { mean in
        String(format: "%.1f dB (%.1f)", mean, row.leastPsnr ?? mean)
      }
      return [
        row.label, "\(row.pictures)", "\(row.largestDifference)",
        String(format: "%.3f", row.meanDifference), ratio ?? "identical",
        String(format: "%.4f", row.meanSsim), share(row.topOne, row), share(row.topFive, row),
        row.referencePsnr.map { String(format: "%.2f dB", $0) } ?? "",
      ]
    }
    return BenchmarkTable(
      header: [
        "configuration", "images", "largest difference", "mean difference", "PSNR, mean (minimum)",
        "SSIM",
        "top-1", "top-5", "PSNR to the reference",
      ], rows: rows
    ).text
  }

  // MARK: - Charts

  private var chart: String? {
    guard let part = parts.first else { return nil }
    let size = parts.count > 1 ? "" : ", \(part.width) x \(part.height)"
    let title = "\(suite.capitalized): \(model)\(size)"
    guard parts.count > 1 else {
      let bars = part.results.compactMap { result in
        result.medianRate.map { ("\(result.entry.number): \(result.entry.label)", $0) }
      }
      return bars.isEmpty
        ? nil : BenchmarkChart.bars(title: title, unit: "images/s, median", bars)
    }
    let lines = part.results.map(\.entry.number).map { number in
      let values = parts.map { part in
        part.results.first { $0.entry.number == number }?.medianRate
      }
      let entry = part.results.first { $0.entry.number == number }?.entry
      // The number of images in flight differs between sizes.
      let label = entry.map { $0.label.replacing("\($0.stages) in flight", with: "in flight") }
      return (label: label ?? number, values: values)
    }
    return BenchmarkChart.lines(
      title: title, unit: "images/s, median",
      places: parts.map { "\($0.width) px" }, lines)
  }
}
