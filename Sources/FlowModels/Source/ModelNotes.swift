internal import FlowCore
internal import Foundation

/// The user's settings for a model, which supplement its own files: `streamflow.json` beside
/// `model_index.json`, or `NAME.streamflow.json` beside a single-file model.
///
/// All keys are optional: `schedule` in command-line notation (`perflow:windows=4`), `steps`,
/// `guidance_scale`.
package struct ModelNotes: Equatable, Sendable {
  /// The path of the file, which may not exist.
  package let path: String
  /// Whether the file exists.
  private(set) var isPresent = false
  /// The sampling schedule.
  package var schedule: ScheduleChoice?
  /// The number of steps.
  package var stepCount: Int?
  /// The guidance scale; 1 disables guidance.
  package var guidanceScale: Float?

  /// Reads the file if it exists.
  init(path: String) throws(ModelError) {
    self.path = path
    guard ConfigurationFile.exists(path) else { return }
    isPresent = true
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

extension ModelNotes {
  /// The path of another file of the model: in the folder of `streamflow.json`, or with the name of
  /// a single-file model as its prefix.
  package func path(of fileName: String) -> String {
    path.dropLast("streamflow.json".count) + fileName
  }

  /// The file's content.
  package func serialized() -> [UInt8] {
    var lines: [String] = []
    if let schedule { lines.append("  \"schedule\": \"\(schedule)\"") }
    if let stepCount { lines.append("  \"steps\": \(stepCount)") }
    if let guidanceScale { lines.append("  \"guidance_scale\": \(guidanceScale)") }
    return Array("{\n\(lines.joined(separator: ",\n"))\n}\n".utf8)
  }
}

/// The defaults of a model.
public struct GenerationDefaults: Equatable, Sendable {
  /// The number of steps.
  public var stepCount: Int
  /// The guidance scale; 1 disables guidance.
  public var guidanceScale: Float
}
