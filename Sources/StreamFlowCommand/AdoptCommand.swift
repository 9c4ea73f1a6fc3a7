internal import ArgumentParser
internal import FlowCore
internal import FlowMedia
internal import FlowModels
internal import Foundation
internal import StreamFlow

/// `streamflow adopt`: writes down what a model's own files do not say.
struct AdoptCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "adopt", abstract: "Write down how a model is run, beside the model.",
    discussion: """
      A model distilled to a flow often says nothing of it on disk. This writes streamflow.json \
      beside model_index.json (or NAME.streamflow.json beside a model in one file), which is read \
      from then on; what is not given stays as it was.

      Examples:
        streamflow adopt ./my-perflow --schedule perflow:windows=4,prediction=diff_eps --steps 4
        streamflow adopt ./model.safetensors --schedule lcm --guidance-scale 1.5
      """)

  @Argument(help: "The model: a folder, or a file.", completion: .file())
  var model: String

  @Option(
    help: """
      The sampling schedule: flow-match, rectified, lcm, euler, euler-ancestral, or \
      perflow[:windows=4,prediction=diff_eps|ddim_eps|velocity].
      """)
  var schedule: ScheduleChoice?

  @Option(help: "The number of steps that suits it.")
  var steps: Int?

  @Option(help: "The guidance scale that suits it; 1 for none.")
  var guidanceScale: Float?

  func validate() throws {
    guard schedule != nil || steps != nil || guidanceScale != nil else {
      throw ValidationError(
        "Missing what to write down. Try: streamflow adopt \(model) --schedule perflow")
    }
    if schedule == .automatic {
      throw ValidationError("--schedule auto is what holds where nothing is written down")
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
        throw ValidationError("the starter comes with its notes; adopt a model of your own")
      }
      let notes = try checkpoint.noting(
        schedule: schedule, stepCount: steps, guidanceScale: guidanceScale)
      _ = try AtomicFile.write(notes.bytes, to: notes.path, overwriting: true)
      Terminal.output(notes.path)
    }
  }
}
