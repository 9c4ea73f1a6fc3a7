internal import FlowModels

/// One image in flight, for a look at the stream batch.
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
