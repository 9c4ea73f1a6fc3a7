/// The times of a file's frames between the reader and the writer: frames that are sent through the
/// network, and frames that repeat the previous one.
actor FrameTimeline {
  private var entries: ArraySlice<(time: Duration, isRepeated: Bool)> = []

  /// Adds the time of the next frame.
  func append(_ time: Duration, isRepeated: Bool) { entries.append((time, isRepeated)) }

  /// Takes the times of repeated frames up to the next new one.
  func takeRepeated() -> [Duration] {
    let repeated = entries.prefix { $0.isRepeated }
    entries = entries.dropFirst(repeated.count)
    return repeated.map(\.time)
  }

  /// Takes the time of the next new frame.
  func takeNew() -> Duration? { entries.popFirst()?.time }
}
