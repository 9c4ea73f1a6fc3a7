/// An interval of time in which a piecewise rectified flow was trained to be straight.
///
/// PeRFlow (Yan et al., 2024, arXiv:2405.07510) splits time into windows, noisiest first; inside a
/// window the velocity is constant.
public struct TimeWindow: Equatable, Sendable {
  /// The noisier end, in `0...1`.
  public let start: Double
  /// The cleaner end, below `start`.
  public let end: Double

  /// Splits `1...0` into windows of equal length, noisiest first.
  ///
  /// - Precondition: `count` is positive.
  public static func uniform(count: Int) -> [TimeWindow] {
    precondition(count > 0, "a flow has one window or more, got \(count)")
    return (0..<count).map { index in
      TimeWindow(
        start: 1 - Double(index) / Double(count), end: 1 - Double(index + 1) / Double(count))
    }
  }
}
