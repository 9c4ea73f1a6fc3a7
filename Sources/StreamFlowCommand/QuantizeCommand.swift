public import ArgumentParser
internal import FlowEngine
public import FlowGraph
internal import FlowImage
internal import FlowModels
internal import Foundation
internal import StreamFlow

/// `streamflow quantize`: measures the scales for 8-bit inference.
struct QuantizeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "quantize", abstract: "Measure a model's 8-bit scales, for --precision int8.",
    discussion: """
      Generates images in float32, observes what every layer reads, finds the layers whose \
      rounding changes the output most (they stay in float32), and writes streamflow-int8.json \
      beside the model. The weights stay unchanged. The scales apply to the chosen autoencoder and \
      any size.

      Ctrl-C stops it; the same command continues from there.

      Examples:
        streamflow quantize ./my-model
        streamflow quantize ./my-model --vae tiny --prompts-file prompts.txt --output scales/
        streamflow generate "a fox" --model ./my-model --precision int8
      """)

  @Argument(
    help: "A model, in any form that --model accepts.",
    completion: .file())
  var model: String

  @Option(
    help: "The autoencoder: auto, full, tiny, or a path.",
    completion: .file())
  var vae = AutoencoderChoice.automatic

  @Option(help: "Weight variant, a part of the weights' file names, such as fp16.")
  var variant: String?

  @Option(
    help: ArgumentHelp(
      "A folder or file to write the scales to (default: beside the model).",
      valueName: "file or folder"),
    completion: .file())
  var output: String?

  @Flag(help: "Replace existing scales.")
  var overwrite = false

  @Option(
    help: ArgumentHelp(
      "A file of calibration prompts, one per line.",
      discussion:
        "Default: 24 built-in prompts, or as many of them as take about a minute and a half, at "
        + "least 4."
    ),
    completion: .file())
  var promptsFile: String?

  @Option(help: "Number of steps (default: the model's).")
  var steps: Int?

  @Option(help: "Sampling schedule, as in `streamflow generate`; auto for the model's.")
  var schedule = ScheduleChoice.automatic

  @Option(help: "Width in pixels (default: the model's).")
  var width: Int?

  @Option(help: "Height in pixels (default: the model's).")
  var height: Int?

  @Option(
    help: """
      How the range of a layer's inputs is chosen: error (of a few shares of all that was seen the \
      one that rounds with the least squared error), percentile (all but one in ten thousand at \
      each end), or extremes (all).
      """)
  var range = TensorRange.Choice.error

  @Option(
    help: """
      The share of quantizable operations that stays in float32: those of the \
      most sensitive layers (0 to below 1).
      """)
  var floatShare = 0.05

  @Flag(name: .customLong("no-vae"), help: "Leave the autoencoder in float32.")
  var leavesAutoencoder = false

  @Option(help: "Number of threads (default: all cores).")
  var threads: Int?

  @Flag(help: "Print JSON.")
  var json = false

  @OptionGroup(title: "Settings file") var configOptions: ConfigOptions

  func validate() throws {
    if let steps, !(1...1000).contains(steps) {
      throw ValidationError("--steps must be 1 to 1000, got \(steps)")
    }
    if let threads, !(1...4096).contains(threads) {
      throw ValidationError("--threads must be 1 to 4096, got \(threads)")
    }
    guard (0..<1).contains(floatShare) else {
      throw ValidationError("--float-share must be 0 to below 1, got \(floatShare)")
    }
  }

  func run() async throws {
    let command = self
    try await reporting {
      try await Interrupt.cancelling { try await command.quantize() }
    }
  }

  private func quantize() async throws {
    let checkpoint = try Checkpoint.named(model, autoencoder: vae, variant: variant)
    let path = place(of: checkpoint)
    guard overwrite || !FileManager.default.fileExists(atPath: path) else {
      throw ValidationError(
        "'\(path)' exists; replace it with --overwrite, or choose another path with --output")
    }
    // An unwritable path is reported before the minutes of measurement.
    try Self.checkWritable(path)
    var options = QuantizationOptions()
    if let promptsFile { options.prompts = try PromptsFile.prompts(at: promptsFile) }
    (options.width, options.height, options.stepCount) = (width, height, steps)
    options.schedule = schedule
    (options.range, options.floatShare) = (range, floatShare)
    options.includesAutoencoder = !leavesAutoencoder
    options.statePath = "\(path).partial"
    let line = QuantizationLine(isVisible: !json)
    let quantizer = try Quantizer(
      checkpoint, options: options,
      engines: EngineStore(options: EngineOptions(threadCount: threads))
    ) { line.show($0) }
    let report: QuantizationReport
    do { report = try await quantizer.run() } catch is CancellationError {
      line.finish()
      Terminal.note("stopped; run the same command again to continue")
      throw CancellationError()
    }
    line.finish()
    _ = try AtomicFile.write(report.file, to: path, overwriting: overwrite)
    quantizer.removeState()
    try show(report, at: path)
  }

  private func place(of checkpoint: Checkpoint) -> String {
    guard let output else { return checkpoint.quantizationPath }
    let name = URL(filePath: checkpoint.quantizationPath).lastPathComponent
    return output.hasSuffix(".json") ? output : "\(output)/\(name)"
  }

  private static func checkWritable(_ path: String) throws {
    let folder = URL(filePath: path).deletingLastPathComponent().path
    do {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    } catch {
      throw MediaError(
        code: .fileUnwritable,
        message:
          "cannot create the folder '\(folder)': \(error.localizedDescription); choose another "
          + "path with --output")
    }
    guard FileManager.default.isWritableFile(atPath: folder) else {
      throw MediaError(
        code: .fileUnwritable,
        message: "cannot write in '\(folder)'; choose another path with --output")
    }
  }

  private struct Summary: Encodable {
    struct Part: Encodable {
      let name: String
      let layers: Int
      let layersInFloats: [String]
      let operationShare: Double
      let signalToNoiseDecibels: Double
    }
    let file: String
    let evaluations: Int
    let parts: [Part]
  }

  private func show(_ report: QuantizationReport, at path: String) throws {
    guard json else {
      for part in report.parts {
        let kept = part.keptLayers.count
        Terminal.output(
          String(
            format: "%@: %d layers in int8, %.0f %% of the operations; %d stay in float32; "
              + "signal-to-noise ratio %.1f dB", part.name, part.layerCount,
            100 * part.operationShare,
            kept, part.signalToNoise))
      }
      Terminal.output(path)
      return
    }
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    let summary = Summary(
      file: path, evaluations: report.evaluationCount,
      parts: report.parts.map { part in
        Summary.Part(
          name: part.name, layers: part.layerCount, layersInFloats: part.keptLayers,
          operationShare: part.operationShare, signalToNoiseDecibels: part.signalToNoise)
      })
    Terminal.output(String(decoding: try encoder.encode(summary), as: UTF8.self))
  }
}

extension TensorRange.Choice: ExpressibleByArgument {}
