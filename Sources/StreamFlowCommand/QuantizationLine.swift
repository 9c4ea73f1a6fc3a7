internal import Foundation
internal import StreamFlow

/// The progress of a quantization on a terminal, with an estimate of the remaining time.
final class QuantizationLine {
  private let bar: ProgressBar
  private var start: (time: ContinuousClock.Instant, fraction: Double)?

  /// The minimum share of the work for an estimate.
  private static let leastShare = 0.03

  init(isVisible: Bool) { bar = ProgressBar(total: 0, isVisible: isVisible) }

  func show(_ progress: QuantizationProgress) {
    // The work of an earlier run does not count for this run's rate.
    let start = start ?? (.now, progress.fraction)
    self.start = start
    bar.show(Self.text(progress, from: start.fraction, elapsed: .now - start.time))
  }

  func finish() { bar.finish() }

  /// A line of progress.
  ///
  /// - Parameters:
  ///   - first: the finished share when the time began.
  ///   - elapsed: the time since then.
  static func text(
    _ progress: QuantizationProgress, from first: Double, elapsed: Duration
  ) -> String {
    let percent = Int((100 * progress.fraction).rounded(.down))
    let head = "\(percent) % \(progress.step)"
    let done = progress.fraction - first
    guard done >= leastShare else { return head }
    let left = Int((elapsed.seconds / done * (1 - progress.fraction)).rounded())
    return head + (left >= 90 ? ", about \((left + 30) / 60) min left" : ", about \(left) s left")
  }
}
