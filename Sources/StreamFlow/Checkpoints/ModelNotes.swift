internal import FlowCore

/// What a person knows of a model and its own files do not say: `streamflow.json` beside
/// `model_index.json`, or `NAME.streamflow.json` beside a model in one file.
///
/// Every key is optional: `schedule`, written as on the command line (`perflow:windows=4`),
/// `steps`, `guidance_scale`.
struct ModelNotes: Equatable, Sendable {
  /// The file, where there is one.
  var path: String?
  /// The way through time.
  var schedule: ScheduleChoice?
  /// The number of steps.
  var stepCount: Int?
  /// The guidance scale; 1 means none.
  var guidanceScale: Float?

  init() {}

  /// Reads the file, if it is there.
  init(path: String) throws(ModelError) {
    guard ConfigurationFile.exists(path) else { return }
    self.path = path
    let file = try ConfigurationFile(path: path)
    for key in file.keys where !["schedule", "steps", "guidance_scale"].contains(key) {
      throw file.unsupported(key, expected: "the keys schedule, steps and guidance_scale only")
    }
    if let text = try file.text("schedule") {
      guard let choice = ScheduleChoice(text), choice != .automatic else {
        throw file.unsupported("schedule", expected: ScheduleChoice.spellings)
      }
      schedule = choice
    }
    if file["steps"] != nil { stepCount = try file.integer("steps", default: 1, in: 1...1000) }
    if file["guidance_scale"] != nil {
      guidanceScale = Float(try file.number("guidance_scale", default: 1))
    }
  }
}

/// What suits a model where the user says nothing.
public struct GenerationDefaults: Equatable, Sendable {
  /// The number of steps.
  public var stepCount: Int
  /// The guidance scale; 1 means none.
  public var guidanceScale: Float
}
