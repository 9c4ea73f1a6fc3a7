public import FlowCore

/// What suits a checkpoint where the user says nothing.
///
/// Read from `streamflow.json` beside `model_index.json`: `steps`, `guidance_scale`, each optional.
public struct GenerationDefaults: Equatable, Sendable {
  /// The number of steps.
  public var stepCount = 4
  /// The guidance scale; 1 means none.
  public var guidanceScale: Float = 1

  init(folder: String) throws(ModelError) {
    let path = "\(folder)/streamflow.json"
    guard ConfigurationFile.exists(path) else { return }
    let file = try ConfigurationFile(path: path)
    for key in file.keys where !["steps", "guidance_scale"].contains(key) {
      throw file.unsupported(key, expected: "the keys steps and guidance_scale only")
    }
    stepCount = try file.integer("steps", default: stepCount, in: 1...1000)
    guidanceScale = Float(try file.number("guidance_scale", default: Double(guidanceScale)))
  }
}

extension Guidance {
  /// The guidance that a scale means: none at 1, where both sides come to the same.
  public init(scale: Float) {
    self = scale == 1 ? .none : .full(scale: scale)
  }
}
