internal import Foundation

extension EditingStudy.Row {
  private static func share(_ value: Double) -> String { String(format: "%.0f %%", 100 * value) }

  fileprivate static func ratio(_ value: Double) -> String { String(format: "%.1f dB", value) }

  private var background: String { "\(Self.share(backgroundsRight)), \(Self.ratio(subjectPsnr))" }
  private var subject: String { "\(Self.share(subjectsRight)), \(Self.ratio(backgroundPsnr))" }
  private var speed: String { BenchmarkChart.significant(imagesPerSecond) }

  /// The row as a line of progress.
  var line: String {
    let reconstruction = reconstructionPsnr.map { "; reconstruction \(Self.ratio($0))" } ?? ""
    return "\(label), \(steps) \(steps == 1 ? "step" : "steps"): background \(background); "
      + "subject \(subject); \(speed) images/s\(reconstruction)"
  }

  /// The row of the table.
  fileprivate var cells: [String] {
    [label, "\(steps)", background, subject, speed, reconstructionPsnr.map(Self.ratio) ?? ""]
  }
}

extension EditingStudy.Report {
  /// The table of all ways by their numbers of steps.
  var table: String {
    "\(count) edits; encoding and decoding alone give "
      + "\(EditingStudy.Row.ratio(autoencoderPsnr)).\n\n"
      + BenchmarkTable(
        header: [
          "method", "steps", "background: right, PSNR of the subject",
          "subject: right, PSNR of the background", "images/s", "reconstruction",
        ], rows: rows.map(\.cells)
      ).text
  }
}
