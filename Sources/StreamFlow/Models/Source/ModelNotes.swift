internal import FlowCore
internal import Foundation

/// What a person knows of a model and its own files do not say: `streamflow.json` beside
/// `model_index.json`, or `NAME.streamflow.json` beside a model in one file.
///
/// Every key is optional: `schedule`, written as on the command line (`perflow:windows=4`),
/// `steps`, `guidance_scale`.
struct ModelNotes: Equatable, Sendable {
  /// The file, whether or not it is there.
  let path: String
  /// Whether it is there.
  private(set) var isPresent = false
  /// The sampling schedule.
  var schedule: ScheduleChoice?
  /// The number of steps.
  var stepCount: Int?
  /// The guidance scale; 1 means none.
  var guidanceScale: Float?

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
  func serialized() -> [UInt8] {
    var lines: [String] = []
    if let schedule { lines.append("  \"schedule\": \"\(schedule)\"") }
    if let stepCount { lines.append("  \"steps\": \(stepCount)") }
    if let guidanceScale { lines.append("  \"guidance_scale\": \(guidanceScale)") }
    return Array("{\n\(lines.joined(separator: ",\n"))\n}\n".utf8)
  }
}

extension Checkpoint {
  /// The notes of this model with something more written down: where they belong, and their bytes.
  ///
  /// - Parameters:
  ///   - schedule: the way through time; as it was where nothing is said, and so the rest.
  ///   - stepCount: the number of steps.
  ///   - guidanceScale: the guidance scale.
  /// - Throws: `requestInvalid` where what would be noted makes no plan.
  public func noting(
    schedule: ScheduleChoice? = nil, stepCount: Int? = nil, guidanceScale: Float? = nil
  ) throws(ModelError) -> (path: String, bytes: [UInt8]) {
    var noted = notes
    noted.schedule = schedule ?? notes.schedule
    noted.stepCount = stepCount ?? notes.stepCount
    noted.guidanceScale = guidanceScale ?? notes.guidanceScale
    var request = GenerationRequest(prompt: "")
    let choice = noted.schedule ?? .automatic
    request.schedule = choice
    request.stepCount = noted.stepCount ?? defaults(for: choice).stepCount
    _ = try plan(for: request, width: nativeSize.width, height: nativeSize.height)
    return (noted.path, noted.serialized())
  }
}

/// What suits a model where the user says nothing.
public struct GenerationDefaults: Equatable, Sendable {
  /// The number of steps.
  public var stepCount: Int
  /// The guidance scale; 1 means none.
  public var guidanceScale: Float
}
