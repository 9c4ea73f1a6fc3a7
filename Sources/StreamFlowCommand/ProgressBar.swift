internal import Foundation

/// A progress line on a terminal; nothing elsewhere.
struct ProgressBar {
  let total: Int
  let isVisible: Bool
  private let start = ContinuousClock.now

  init(total: Int, isVisible: Bool) {
    self.total = total
    self.isVisible = isVisible && Terminal.isInteractive
  }

  func show(_ label: String) {
    guard isVisible else { return }
    Terminal.draw(label)
  }

  func advance(to done: Int) {
    guard isVisible else { return }
    let seconds = (ContinuousClock.now - start).seconds
    let left =
      done > 0 && done < total ? seconds / Double(done) * Double(total - done) : nil
    let line = ProgressLine(
      fraction: total > 0 ? Double(done) / Double(total) : 1,
      counts: ["\(done)/\(total)"], secondsLeft: left)
    Terminal.draw(line.text(columns: Terminal.columns - 1, isUnicode: Terminal.isUnicode))
  }

  func finish() {
    guard isVisible else { return }
    Terminal.wipe()
  }
}

/// The text of a progress line: a bar, counts, and the remaining time, as far as the width allows.
struct ProgressLine {
  /// The completed fraction, 0 to 1.
  var fraction: Double
  /// The counts as text, the most detailed first; the first that fits is shown.
  var counts: [String]
  /// The estimated remaining time in seconds, if any.
  var secondsLeft: Double?

  private static let barColumns = 6...30

  /// The line, no wider than a number of columns.
  ///
  /// The bar shrinks first, then the counts, then the remaining time is omitted.
  func text(columns: Int, isUnicode: Bool) -> String {
    let left = secondsLeft.map { "\(Self.words($0)) left" }
    var labels = counts.map { [$0, left].compactMap { $0 }.joined(separator: ", ") }
    if let shortest = counts.last { labels.append(shortest) }
    for label in labels where label.count + 1 + Self.barColumns.lowerBound <= columns {
      let width = min(columns - label.count - 1, Self.barColumns.upperBound)
      return bar(width: width, isUnicode: isUnicode) + " " + label
    }
    return String("\(Int(fraction * 100))%".prefix(max(columns, 0)))
  }

  private func bar(width: Int, isUnicode: Bool) -> String {
    let filled = Int(min(max(fraction, 0), 1) * Double(width))
    let (full, empty) = isUnicode ? ("█", "░") : ("#", "-")
    return String(repeating: full, count: filled)
      + String(repeating: empty, count: width - filled)
  }

  /// A duration for people: seconds up to two minutes, minutes up to two hours, hours.
  static func words(_ seconds: Double) -> String {
    let seconds = Int(min(max(seconds, 1), 3_600_000).rounded(.up))
    return seconds < 120
      ? "\(seconds) s"
      : seconds < 7200 ? "\((seconds + 30) / 60) min" : "\((seconds + 1800) / 3600) h"
  }
}

/// Estimates the remaining time from the measured rate, without the warm-up.
///
/// The first advance includes compilation and cold caches, so that time counts from its end. There
/// is no estimate before two more advances and one second.
struct RemainingTime {
  private var samples: [(done: Int, seconds: Double)] = []

  /// The window of the rate in seconds; older records do not count.
  private static let window = 60.0

  /// Records the progress.
  mutating func record(done: Int, at seconds: Double) {
    guard done > (samples.last?.done ?? 0) else { return }
    samples.append((done, seconds))
    while samples.count > 3, seconds - samples[1].seconds > Self.window { samples.removeFirst() }
  }

  /// The estimate in seconds, if there are enough measurements.
  func secondsLeft(total: Int, at seconds: Double) -> Double? {
    guard samples.count >= 3, let first = samples.first, let last = samples.last,
      last.seconds - first.seconds >= 1, last.done < total
    else { return nil }
    let rate = Double(last.done - first.done) / (last.seconds - first.seconds)
    return max(Double(total - last.done) / rate - (seconds - last.seconds), 0)
  }
}
