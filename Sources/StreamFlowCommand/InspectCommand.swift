internal import ArgumentParser
internal import FlowCore
internal import FlowEngine
internal import FlowGraph
internal import FlowModels
internal import Foundation
internal import StreamFlow

/// `streamflow inspect`: describes a model, or the settings of images.
struct InspectCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "Describe a model, or show the settings that images were generated with.",
    discussion: """
      Examples:
        streamflow inspect starter
        streamflow inspect starter --prompts
        streamflow inspect watercolor-lora.safetensors
        streamflow inspect out/0001-a-fox-on-a-blue-background.png
        streamflow inspect out
      """)

  @Argument(
    help: "A model as for --model, a LoRA file, a PNG or JPEG image, or a folder of images.",
    completion: .file())
  var subject: String

  @Option(
    help: "The autoencoder: auto, full, tiny, or a path.",
    completion: .file())
  var vae = AutoencoderChoice.automatic

  @Option(help: "Weight variant, a part of the weights' file names, such as fp16.")
  var variant: String?

  @Flag(help: "List the prompts that a model was trained on.")
  var prompts = false

  @Flag(help: "Print JSON.")
  var json = false

  @OptionGroup(title: "Settings file") var configOptions: ConfigOptions

  func run() async throws {
    try await reporting {
      if prompts {
        let model = try Checkpoint.named(subject, autoencoder: vae, variant: variant)
        try PromptListing(checkpoint: model).show(asJSON: json)
      } else if let images = try InspectedImages(at: subject) {
        try images.show(asJSON: json)
      } else if let lora = try Self.lora(at: subject) {
        try show(lora)
      } else {
        try show(ModelReport(.named(subject, autoencoder: vae, variant: variant)))
      }
    }
  }

  /// A safetensors file that contains LoRAs.
  private static func lora(at path: String) throws -> LoRA? {
    var isFolder: ObjCBool = false
    guard path.hasSuffix(".safetensors"),
      unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isFolder),
      !isFolder.boolValue
    else { return nil }
    let lora = try LoRA(path: path)
    return lora.modules.isEmpty ? nil : lora
  }

  private struct LoRAReport: Encodable {
    let file: String
    let kind: String
    let ranks: [Int]
    let layers: [String: Int]
    let tensors: Int
    let notUnderstood: [String]
    let textWidth: Int?
  }

  private func show(_ lora: LoRA) throws {
    guard !json else {
      let report = LoRAReport(
        file: lora.path, kind: lora.kindWords, ranks: lora.ranks,
        layers: Dictionary(uniqueKeysWithValues: lora.moduleCounts.map { ($0, $1) }),
        tensors: lora.tensorCount, notUnderstood: lora.unknownTensors, textWidth: lora.textWidth)
      Terminal.output(try JSON.text(of: report))
      return
    }
    var lines = [
      "file       \(lora.name) (\(lora.tensorCount) tensors)", "kind       \(lora.kindWords)",
    ]
    if !lora.ranks.isEmpty {
      lines.append("rank       \(lora.ranks.map { "\($0)" }.joined(separator: ", "))")
    }
    lines += lora.moduleCounts.map { "layers     \($0.count) of \($0.network)" }
    if let width = lora.textWidth { lines.append("text       \(width) wide") }
    if !lora.unknownTensors.isEmpty {
      let first = lora.unknownTensors.prefix(5).joined(separator: ", ")
      lines.append("unknown    \(lora.unknownTensors.count) tensors: \(first)")
    }
    Terminal.output(lines.joined(separator: "\n"))
  }

  private func show(_ report: ModelReport) throws {
    guard !json else {
      Terminal.output(try JSON.text(of: report))
      return
    }
    var lines = [
      "model      \(report.name) (\(report.folder))", "family     \(report.family)",
      "schedule   \(report.schedule)",
      "plan       "
        + (report.plan.map { "\($0) (\(report.planReason))" }
          ?? Remedy.words(report.planReason, .schedule)),
      "defaults   \(report.width)x\(report.height) pixels, \(report.steps) step\(report.steps == 1 ? "" : "s"), guidance "
        + "\(report.guidanceScale)",
    ]
    for component in report.components {
      lines.append(
        "\(component.name.padding(toLength: max(11, component.name.count + 1), withPad: " ", startingAt: 0))"
          + "\(component.architecture), "
          + "\(String(format: "%.1f", Double(component.parameters) / 1e6)) M parameters, "
          + "\(component.types.joined(separator: "+")), \(Size.text(component.byteCount))")
    }
    lines.append("memory     about \(Size.text(report.memoryByteCount)) while engines are compiled")
    if let prompts = report.promptWords {
      lines.append("prompts    \(prompts); --prompts lists them")
    }
    lines.append("engines    \(report.engines.joined(separator: ", "))")
    Terminal.output(lines.joined(separator: "\n"))
  }
}
