internal import FlowCore
internal import Foundation

/// What a person knows of a model and its own files do not say: `streamflow.json` beside
/// `model_index.json`, or `NAME.streamflow.json` beside a model in one file.
///
/// Every key is optional: `schedule`, written as on the command line (`perflow:windows=4`),
/// `steps`, `guidance_scale`.
package struct ModelNotes: Equatable, Sendable {
  /// The file, whether or not it is there.
  package let path: String
  /// Whether it is there.
  private(set) var isPresent = false
  /// The sampling schedule.
  package var schedule: ScheduleChoice?
  /// The number of steps.
  package var stepCount: Int?
  /// The guidance scale; 1 means none.
  package var guidanceScale: Float?

  /// Reads the file, if it is there.
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
  /// The file's content.
  package func serialized() -> [UInt8] {
    var lines: [String] = []
    if let schedule { lines.append("  \"schedule\": \"\(schedule)\"") }
    if let stepCount { lines.append("  \"steps\": \(stepCount)") }
    if let guidanceScale { lines.append("  \"guidance_scale\": \(guidanceScale)") }
    return Array("{\n\(lines.joined(separator: ",\n"))\n}\n".utf8)
  }
}

/// What suits a model where the user says nothing.
public struct GenerationDefaults: Equatable, Sendable {
  /// The number of steps.
  public var stepCount: Int
  /// The guidance scale; 1 means none.
  public var guidanceScale: Float
}
