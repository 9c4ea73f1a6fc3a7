/// One picture in flight, for a look at the stream batch.
public struct GeneratorFlight: Sendable, Hashable {
  /// What was asked for together with it (``GenerationEvents/stream``).
  public let stream: Int
  /// Which of those requests, from 0.
  public let index: Int
  /// The evaluation that it takes next, from 0.
  public let stage: Int
  /// All evaluations that it takes.
  public let stageCount: Int
  /// Whether the last tick advanced it; where not it waits for a shorter stream.
  public let advances: Bool
}

/// Which evaluations of a picture previews are shown after.
enum PreviewStages {
  /// Spread evenly between the first and the last evaluation; no more than there are in between.
  static func stages(count: Int, of stageCount: Int) -> [Int] {
    guard count > 0, stageCount > 1 else { return [] }
    let shown = min(count, stageCount - 1)
    return (1...shown).map { number in
      // Rounded up: with one of two, the later says more.
      (number * stageCount + shown) / (shown + 1)
    }
  }
}
