internal import FlowModels

/// The evaluations of an image after which previews are shown.
enum PreviewStages {
  /// Spread evenly between the first and the last evaluation; no more than there are in between.
  static func stages(count: Int, of stageCount: Int) -> [Int] {
    guard count > 0, stageCount > 1 else { return [] }
    let shown = min(count, stageCount - 1)
    return (1...shown).map { number in
      // Rounded up: of two candidates, the later is more informative.
      (number * stageCount + shown) / (shown + 1)
    }
  }
}
