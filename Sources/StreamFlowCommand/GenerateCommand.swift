internal import ArgumentParser
internal import FlowCore
internal import FlowEngine
internal import FlowImage
internal import Foundation
internal import StreamFlow

/// `streamflow generate`: prompts to images.
struct GenerateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "generate", abstract: "Generate images from prompts.",
    discussion: """
      Examples:
        streamflow generate "a fox on a blue background"
        streamflow generate "an octopus" "a rocket" --count 4 --output images
        streamflow generate "a (very red:1.3) fox on a [blue] background"
        streamflow generate --prompts-file prompts.txt --contact-sheet sheet.png
        streamflow generate "a fox" --count 1000 --seed 7 --resume
        srun -n 4 streamflow generate "a fox" --count 1000 --seed 7 --distributed
        streamflow generate --from out/0001-a-fox.png --steps 8
        streamflow generate "a fox" --output - > fox.png
        streamflow generate "a cat" --model ./perflow-sd15 --vae ./taesd
        streamflow generate "a cat" --hires 2:0.4 --upscale 2
        streamflow generate "the fox wears the hat" --reference fox.png --reference hat.png
      """)

  @Argument(help: "The prompts, each in quotes.")
  var prompts: [String] = []

  @Option(
    name: [.customShort("p"), .customLong("prompt")],
    help: ArgumentHelp("A prompt; the same as an argument.", valueName: "prompt"))
  var namedPrompts: [String] = []

  @Option(
    help: ArgumentHelp(
      "File with one prompt per line; '#' begins a comment, '-' reads standard input.",
      valueName: "file"),
    completion: .file())
  var promptsFile: String?

  @Option(
    name: .customLong("from"),
    help: ArgumentHelp(
      """
      A PNG or JPEG image whose settings are used: one of StreamFlow's, of AUTOMATIC1111's web UI \
      or of stable-diffusion.cpp. Other options take precedence.
      """, valueName: "image"),
    completion: .file(extensions: ["png", "jpg", "jpeg"]))
  var source: String?

  @OptionGroup(title: "Model") var modelOptions: ModelOptions

  @Option(name: [.customShort("n"), .long], help: "Number of images of each prompt.")
  var count = 1

  @OptionGroup(title: "Sampling") var sampling: SamplingOptions
  @OptionGroup(title: "References") var referenceOptions: ReferenceOptions
  @OptionGroup(title: "Adapters") var adapterOptions: AdapterOptions
  @OptionGroup(title: "Upscaling") var hiresOptions: HiresOptions
  @OptionGroup(title: "Upscaling") var upscaleOptions: UpscaleOptions
  @OptionGroup(title: "Output") var outputOptions: OutputOptions
  @OptionGroup(title: "Many processes") var distribution: DistributionOptions
  @OptionGroup(title: "Engine") var engineOptions: DeviceOptions
  @OptionGroup(title: "Settings file") var configOptions: ConfigOptions
  @OptionGroup var reportOptions: ReportOptions

  func validate() throws {
    guard !(prompts + namedPrompts).isEmpty || promptsFile != nil || source != nil else {
      throw ValidationError(
        "Missing a prompt. Try: streamflow generate \"a fox on a blue background\"")
    }
    guard (1...1_000_000).contains(count) else {
      throw ValidationError("--count must be 1 to 1000000, got \(count)")
    }
    if referenceOptions.referenceArea != nil, referenceOptions.references.isEmpty {
      throw ValidationError("--reference-area needs --reference")
    }
    try distribution.check(against: outputOptions)
    try upscaleOptions.check(isUsed: hiresOptions.hires != nil || source != nil)
  }

  func run() async throws {
    try await reporting {
      let imported = try source.map { path throws(MediaError) in try ImageImport(path: path) }
      var (models, engines, sampling) = (modelOptions, engineOptions, self.sampling)
      var references = referenceOptions
      try imported?.complete(&models)
      imported?.complete(&engines)
      let checkpoint = try adapterOptions.applied(to: engines.applied(to: models.checkpoint()))
      let controls = try adapterOptions.inputs(of: checkpoint, hasInput: false)
      if let imported {
        let problems =
          imported.problems(
            modelOptions: models, upscaleOptions: upscaleOptions, controls: controls)
          + sampling.complete(from: imported.settings, for: checkpoint)
          + references.complete(from: imported.settings)
        if !reportOptions.quiet { for problem in problems { Terminal.warning(problem) } }
      }
      let texts = try self.texts(imported: imported?.settings)
      var sample = sampling.request(texts[0], of: checkpoint, spacing: nil)
      try references.apply(to: &sample)
      sample.controls = controls
      sample.recordInputHashes()
      var work = PromptList(prompts: texts, count: count, sample: sample)
      let share = try distribution.share(of: work.imageCount, hasRandomSeed: sampling.hasRandomSeed)
      var outputOptions = outputOptions
      if share == nil {
        if !reportOptions.quiet, let hint = DistributionOptions.hint { Terminal.warning(hint) }
      } else {
        // Running a share again continues it.
        outputOptions.resume = !outputOptions.overwrite
      }
      let output = try ImageOutput(
        outputOptions, imageCount: work.imageCount, isJSON: reportOptions.json)
      let store = try engines.engines()
      let placement = try engines.placement()
      let generator = try sampling.generator(
        checkpoint, on: store, placement: placement, request: sample,
        imageCount: work.imageCount)
      let finish = try await self.finish(
        generator, on: store, placement: placement, imported: imported?.settings,
        sampling: sampling)
      if outputOptions.resume, sampling.hasRandomSeed,
        let seed = ResumedRun.firstSeed(
          of: work, in: output,
          parameters: { finish.parameters(generator.parameters(of: $0)) })
      {
        work.sample.seed = seed
      }
      let run = GenerationRun(
        generator: generator, work: work, output: output, outputOptions: outputOptions,
        reporting: reportOptions, hasRandomSeed: sampling.hasRandomSeed, share: share,
        finish: finish, precisions: try engines.precisions())
      try await Interrupt.cancelling { try await run() }
    }
  }

  /// The postprocessing: from the options, else from the imported settings.
  private func finish(
    _ generator: GeneratorPool, on engines: [EngineStore], placement: DevicePlacement,
    imported: GenerationSettings?, sampling: SamplingOptions
  ) async throws -> ImageFinish {
    var hiresOptions = hiresOptions
    if hiresOptions.hires == nil { hiresOptions.complete(from: imported) }
    let upscaling = try await upscaleOptions.upscaling(
      of: generator.checkpoint, on: engines[0])
    guard let hires = hiresOptions.hires else { return ImageFinish(upscaling: upscaling) }
    var options = GeneratorOptions()
    options.rowCapacity = sampling.batchSize.rows
    (options.skippedTextLayers, options.decodeTiling) = (sampling.clipSkip ?? 0, sampling.vaeTile)
    let fix = try HiresFix(
      model: ImageModel(
        generator.checkpoint, options: options, devices: engines, placement: placement),
      scale: hires.scale, strength: hires.strength, stepCount: hiresOptions.hiresSteps,
      upscaler: try await upscaleOptions.network.upscaler(
        of: generator.checkpoint, on: engines[0]))
    // A size that the model cannot make is known before any work is done.
    _ = try fix.size(of: PixelSize(width: generator.width, height: generator.height))
    return ImageFinish(hires: fix, upscaling: upscaling)
  }

  /// All prompts: those of the command line, of the file, or else of the image.
  private func texts(imported: GenerationSettings?) throws -> [String] {
    var texts = try prompts == ["-"] ? PromptsFile.prompts(at: "-") : prompts + namedPrompts
    if !reportOptions.quiet {
      for hint in [Self.quotingHint(prompts), Self.fileHint(prompts)].compactMap({ $0 }) {
        Terminal.warning(hint)
      }
    }
    if let promptsFile { texts += try PromptsFile.prompts(at: promptsFile) }
    if texts.isEmpty, let imported { texts = [imported.prompt] }
    guard !texts.isEmpty else {
      throw ValidationError("'\(promptsFile ?? "")' holds no prompt; write one per line")
    }
    return texts
  }

  /// A hint to quote prompts that look like the words of one.
  static func quotingHint(_ prompts: [String]) -> String? {
    let particles: Set = [
      "a", "an", "the", "of", "on", "in", "at", "with", "and", "by", "to", "from", "under", "over",
    ]
    guard prompts.count > 1, prompts.allSatisfy({ !$0.contains(where: \.isWhitespace) }),
      prompts.count > 4 || prompts.contains(where: { particles.contains($0.lowercased()) })
    else { return nil }
    return "\(prompts.count) prompts of one word each make \(prompts.count) images; for one image "
      + "quote the prompt: streamflow generate \"\(prompts.joined(separator: " "))\""
  }

  /// A hint if a prompt is the name of a file.
  static func fileHint(_ prompts: [String]) -> String? {
    guard
      let path = prompts.first(where: {
        !URL(filePath: $0).pathExtension.isEmpty && FileManager.default.fileExists(atPath: $0)
      })
    else { return nil }
    let isImage = ["png", "jpg", "jpeg"].contains(URL(filePath: path).pathExtension.lowercased())
    return "the prompt '\(path)' is the name of a file; "
      + (isImage
        ? "`streamflow edit '\(path)' PROMPT` starts from an image, --from takes its settings"
        : "--prompts-file reads prompts from a file")
  }
}

/// Prompts, each with a number of images.
struct PromptList: ImageWork {
  let prompts: [String]
  /// The number of images of each prompt.
  let count: Int
  var sample: GenerationRequest

  var imageCount: Int { prompts.count * count }
  var portion: Int { imageCount }
  var strength: Double? { nil }

  func requests(_ indices: [Int]) -> [Result<GenerationRequest, any Error>] {
    indices.map { .success(description(of: $0)) }
  }

  func description(of index: Int) -> GenerationRequest {
    var request = sample
    request.prompt = prompts[index / count]
    request.seed &+= UInt64(index)
    return request
  }

  func name(of index: Int) -> String { prompts[index / count] }
  func source(of index: Int) -> String? { nil }
}
