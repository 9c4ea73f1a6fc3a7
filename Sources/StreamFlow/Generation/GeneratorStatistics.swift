public import FlowEngine
internal import FlowModels

/// Measurements of a generator.
public struct GeneratorStatistics: Sendable {
  /// The time of making the engines.
  public internal(set) var preparation = Duration.zero
  /// The engines, in order of their graphs.
  public internal(set) var engines: [EngineReport] = []
  /// The number of ticks.
  public internal(set) var tickCount = 0
  /// The batch rows of all ticks.
  public internal(set) var rowCount = 0
  /// The number of images that were decoded.
  public internal(set) var imageCount = 0
  /// The number of evaluations of retired images, failed ones included.
  public internal(set) var evaluationCount = 0
  /// The time of all ticks: gather, network, guidance, step.
  public internal(set) var tickTime = Duration.zero
  /// The part of it inside the network's engine.
  public internal(set) var engineTime = Duration.zero
  /// The time of encoding prompts and drawing noise.
  public internal(set) var admissionTime = Duration.zero
  /// The time of decoding.
  public internal(set) var decodeTime = Duration.zero
}
