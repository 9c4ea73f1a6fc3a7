/// The presentation times that ffmpeg's `showinfo` filter logs, in frame order.
///
///     [Parsed_showinfo_2 @ 0x55] [info] config in time_base: 1/15360, frame_rate: 30/1
///     [Parsed_showinfo_2 @ 0x55] [info] n:   0 pts:   1024 pts_time:0.0667 ...
struct FFmpegFrameTimes {
  /// Logged times that were not consumed yet; nil for a frame without a time.
  private(set) var waiting: ArraySlice<Duration?> = []
  private var timeBase = (numerator: 1, denominator: 1)

  /// Parses a line.
  ///
  /// - Returns: whether the line is from the filter.
  mutating func read(_ line: String) -> Bool {
    guard line.hasPrefix("[Parsed_showinfo_") else { return false }
    if let match = line.firstMatch(of: /\bn: *\d+ +pts: *(-?\d+|NOPTS)\b/) {
      waiting.append(Int64(match.1).map(time))
    } else if let match = line.firstMatch(of: /config in time_base: (\d+)\/(\d+)/),
      let numerator = Int(match.1), let denominator = Int(match.2), denominator > 0
    {
      timeBase = (numerator, denominator)
    }
    return true
  }

  /// Removes the time of the next frame.
  mutating func takeFirst() -> Duration?? { waiting.popFirst() }

  private func time(_ ticks: Int64) -> Duration {
    let denominator = Int64(timeBase.denominator)
    let (units, isOverflow) = ticks.multipliedReportingOverflow(by: Int64(timeBase.numerator))
    guard !isOverflow else { return .zero }
    let (seconds, rest) = units.quotientAndRemainder(dividingBy: denominator)
    // In 128 bits: the remainder in a nanosecond time base times a billion exceeds 64 bits.
    let product = rest.multipliedFullWidth(by: 1_000_000_000)
    let nanoseconds = denominator.dividingFullWidth(product).quotient
    return .seconds(seconds) + .nanoseconds(nanoseconds)
  }
}
