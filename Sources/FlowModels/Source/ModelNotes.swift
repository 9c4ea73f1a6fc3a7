package import FlowCore
internal import Foundation

/// The user's settings for a model, which supplement its own files: `streamflow.json` beside
/// `model_index.json`, or `NAME.streamflow.json` beside a single-file model.
///
/// All keys are optional: `schedule` in command-line notation (`perflow:windows=4`), `steps`,
/// `guidance_scale`, and for editing with a source prompt `edit_method` and `edit_strength`.
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
  /// The editing method that a source prompt alone asks for.
  package private(set) var editingMethod: EditingMethod?
  /// The denoising strength of that method, above 0 and at most 1.
  package private(set) var editingStrength: Double?

  private static let keys = ["schedule", "steps", "guidance_scale", "edit_method", "edit_strength"]

  /// Reads the file if it exists.
  init(path: String) throws(ModelError) {
    self.path = path
    guard ConfigurationFile.exists(path) else { return }
    isPresent = true
    let file = try ConfigurationFile(path: path)
    for key in file.keys where !Self.keys.contains(key) {
      throw file.unsupported(
        key, expected: "the keys \(Self.keys.joined(separator: ", ")) only")
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
    if let text = try file.text("edit_method") {
      guard let method = EditingMethod(rawValue: text), method.readsSourcePrompt else {
        throw file.unsupported(
          "edit_method",
          expected: "a method that reads a source prompt, such as flowedit or fireflow")
      }
      editingMethod = method
    }
    if file["edit_strength"] != nil {
      let strength = try file.number("edit_strength", default: 1)
      guard editingMethod != nil, strength > 0, strength <= 1 else {
        throw file.unsupported(
          "edit_strength", expected: "above 0 and at most 1, beside edit_method")
      }
      editingStrength = strength
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
    if let editingMethod { lines.append("  \"edit_method\": \"\(editingMethod.rawValue)\"") }
    if let editingStrength { lines.append("  \"edit_strength\": \(editingStrength)") }
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
