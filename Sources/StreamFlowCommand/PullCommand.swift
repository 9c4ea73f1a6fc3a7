internal import ArgumentParser
internal import FlowHub
internal import FlowModels
internal import Foundation
internal import StreamFlow

/// `streamflow pull`: models from a Hugging Face hub.
struct PullCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pull", abstract: "Download a model into the Hugging Face cache.",
    discussion: """
      Only the required files are downloaded: weights as safetensors, in half precision if \
      available. An interrupted pull continues where it stopped.

      Examples:
        streamflow pull XCLiu/instaflow_0_9B_from_sd_1_5
        streamflow pull org/name --revision refs/pr/3
        streamflow pull org/name --include "*.fp16.safetensors" --include "*.json"

      Private and gated models: set HF_TOKEN. Another hub: set HF_ENDPOINT.
      """)

  @Argument(help: "The model, as org/name.")
  var model: String

  @Option(help: "The branch, tag or commit.")
  var revision = HubCache.defaultRevision

  @Option(help: "Download the files that match a pattern instead; repeat for several.")
  var include: [String] = []

  @Flag(help: "Print one JSON object with the folder and the files.")
  var json = false

  @Flag(help: "Print nothing but errors.")
  var quiet = false

  private struct Report: Encodable {
    struct File: Encodable {
      let path: String
      let byteCount: Int
    }
    let model: String
    let revision: String
    let commit: String
    let folder: String
    let files: [File]
    let downloadedByteCount: Int
    let seconds: Double
  }

  @OptionGroup(title: "Settings file") var configOptions: ConfigOptions

  func run() async throws {
    try await reporting {
      guard let name = HubModelName(model) else {
        throw ValidationError(
          "'\(model)' is not the name of a model; expected org/name, as in "
            + "hansyan/perflow-sd15-dreamshaper"
        )
      }
      let pull = try HubPull(model: name, revision: revision, patterns: include)
      let access = try HubAccess()
      try await Interrupt.cancelling { try await download(pull, from: access) }
    }
  }

  private func download(_ pull: HubPull, from access: HubAccess) async throws {
    let start = ContinuousClock.now
    let progress = PullProgress(style: json ? .json : quiet ? .quiet : .plain)
    defer { progress.finish() }
    let snapshot = try await pull(from: access, into: HubCache()) { progress.show($0) }
    progress.finish()
    guard !quiet || json else { return }
    let seconds = (ContinuousClock.now - start).seconds
    guard !json else {
      let report = Report(
        model: "\(pull.model)", revision: revision, commit: snapshot.commit,
        folder: snapshot.folder,
        files: snapshot.files.map { Report.File(path: $0.path, byteCount: $0.byteCount) },
        downloadedByteCount: snapshot.receivedByteCount, seconds: seconds)
      Terminal.output(try JSON.text(of: report))
      return
    }
    let name = revision == HubCache.defaultRevision ? model : "\(model)@\(revision)"
    Terminal.output(
      """
      \(snapshot.files.count) \(snapshot.files.count == 1 ? "file" : "files"), \
      \(Size.text(snapshot.receivedByteCount)) downloaded: \(snapshot.folder)
      streamflow generate "a castle by the sea" --model \(name)
      """)
  }
}
