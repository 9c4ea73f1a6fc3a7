internal import FlowModels

/// One image in flight, as a view of the stream batch.
public struct GeneratorFlight: Sendable, Hashable {
  /// The identifier of the stream that requested it (``GenerationEvents/stream``).
  public let stream: Int
  /// The index of its request, from 0.
  public let index: Int
  /// The index of its next evaluation, from 0.
  public let stage: Int
  /// The total number of evaluations.
  public let stageCount: Int
  /// Whether the last tick advanced it; otherwise it waits for a shorter stream.
  public let advances: Bool
}
