/// Frames per second, as an exact fraction.
public struct FrameRate: Hashable, Sendable {
  /// The number of frames in `denominator` seconds.
  public let numerator: Int
  /// The duration of `numerator` frames in seconds.
  public let denominator: Int

  /// Creates a rate in lowest terms: `FrameRate(30_000, per: 1001)` is NTSC's.
  ///
  /// - Precondition: both numbers are positive.
  public init(_ numerator: Int, per denominator: Int = 1) {
    precondition(numerator > 0 && denominator > 0, "a rate is positive")
    var (divisor, rest) = (numerator, denominator)
    while rest != 0 { (divisor, rest) = (rest, divisor % rest) }
    self.numerator = numerator / divisor
    self.denominator = denominator / divisor
  }

  /// The rate as a floating-point number.
  public var framesPerSecond: Double { Double(numerator) / Double(denominator) }

  /// The rate of every n-th frame.
  public func divided(by step: Int) -> FrameRate { FrameRate(numerator, per: denominator * step) }

  /// The start time of a frame relative to frame 0.
  public func time(ofFrame index: Int) -> Duration {
    let (seconds, rest) = (index * denominator).quotientAndRemainder(dividingBy: numerator)
    return .seconds(seconds) + .nanoseconds(rest * 1_000_000_000 / numerator)
  }
}

extension FrameRate: LosslessStringConvertible {
  /// Parses `25`, `30000/1001` or `29.97`, which is read as the NTSC fraction that it rounds.
  public init?(_ text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    switch parts.count {
    case 1:
      guard let value = Double(text), value >= 0.001, value <= 1_000_000 else { return nil }
      let nominal = value.rounded(.up)
      if nominal != value, abs(nominal * 1000 / 1001 - value) < 0.005 {
        self.init(Int(nominal) * 1000, per: 1001)
      } else {
        self.init(Int((value * 1000).rounded()), per: 1000)
      }
    case 2:
      guard let numerator = Int32(parts[0]), let denominator = Int32(parts[1]), numerator > 0,
        denominator > 0
      else { return nil }
      self.init(Int(numerator), per: Int(denominator))
    default: return nil
    }
  }

  /// The rate in ffmpeg's notation: `30000/1001`.
  public var description: String {
    denominator == 1 ? "\(numerator)" : "\(numerator)/\(denominator)"
  }
}

extension Duration {
  /// The duration in seconds as a decimal number with microseconds.
  var decimalSeconds: String {
    let microseconds = components.attoseconds / 1_000_000_000_000
    let digits = String(microseconds.magnitude)
    return "\(components.seconds).\(String(repeating: "0", count: 6 - digits.count))\(digits)"
  }
}
