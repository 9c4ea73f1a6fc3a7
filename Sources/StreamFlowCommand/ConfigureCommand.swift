internal import ArgumentParser
internal import FlowCore
internal import FlowImage
internal import FlowModels
internal import Foundation
internal import StreamFlow

/// `streamflow configure`: stores overrides of a model's sampling defaults.
struct ConfigureCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "configure", abstract: "Store a model's sampling defaults beside it.",
    discussion: """
      The files of a distilled model often do not state its sampling schedule. This writes \
      streamflow.json beside model_index.json (or NAME.streamflow.json beside a single-file \
      model), which is read from then on. Values that are not given stay unchanged.

      Examples:
        streamflow configure ./my-perflow --schedule perflow:windows=4,prediction=diff_eps --steps 4
        streamflow configure ./model.safetensors --schedule lcm --guidance-scale 1.5
      """)

  @Argument(help: "A model folder or file.", completion: .file())
  var model: String

  @Option(
    help: """
      The sampling schedule: flow-match, rectified, lcm, euler, euler-ancestral, or \
      perflow[:windows=4,prediction=diff_eps|ddim_eps|velocity].
      """)
  var schedule: ScheduleChoice?

  @Option(help: "Default number of steps.")
  var steps: Int?

  @Option(help: "Default guidance scale; 1 disables guidance.")
  var guidanceScale: Float?

  @OptionGroup(title: "Settings file") var configOptions: ConfigOptions

  func validate() throws {
    guard schedule != nil || steps != nil || guidanceScale != nil else {
      throw ValidationError(
        "Missing a default to store. Try: streamflow configure \(model) --schedule perflow")
    }
    if schedule == .automatic {
      throw ValidationError(
        "--schedule auto is the default without streamflow.json; give a schedule")
    }
    if let steps, !(1...1000).contains(steps) {
      throw ValidationError("--steps must be 1 to 1000, got \(steps)")
    }
    if let guidanceScale, !guidanceScale.isFinite {
      throw ValidationError("--guidance-scale must be a number, got \(guidanceScale)")
    }
  }

  func run() async throws {
    try await reporting {
      let checkpoint = try Checkpoint.named(model)
      guard checkpoint.name != "starter" || checkpoint.folder == model else {
        throw ValidationError(
          "the starter has its defaults built in; configure a model of your own")
      }
      let notes = try checkpoint.noting(
        schedule: schedule, stepCount: steps, guidanceScale: guidanceScale)
      _ = try AtomicFile.write(notes.bytes, to: notes.path, overwriting: true)
      Terminal.output(notes.path)
    }
  }
}
