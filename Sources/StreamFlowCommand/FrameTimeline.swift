/// The times of a file's frames between the reader and the writer: those that are sent through the
/// network, and those that repeat the frame before.
actor FrameTimeline {
  private var entries: ArraySlice<(time: Duration, isRepeated: Bool)> = []

  /// Adds the time of the next frame.
  func append(_ time: Duration, isRepeated: Bool) { entries.append((time, isRepeated)) }

  /// Takes the times of the repeated frames up to the next that is not.
  func takeRepeated() -> [Duration] {
    let repeated = entries.prefix { $0.isRepeated }
    entries = entries.dropFirst(repeated.count)
    return repeated.map(\.time)
  }

  /// Takes the time of the next frame, which is not a repeated one.
  func takeNew() -> Duration? { entries.popFirst()?.time }
}
