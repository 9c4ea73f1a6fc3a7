internal import ArgumentParser
internal import FlowCore
internal import FlowImage
internal import FlowModels
internal import Foundation
internal import StreamFlow

/// `streamflow edit`, also called `transform`: image-to-image, inpainting and editing.
struct TransformCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "edit", abstract: "Image-to-image generation, inpainting and editing.",
    discussion: """
      Takes PNG and JPEG files, and folders of them; the last argument is the prompt. Other images \
      in a folder are skipped and listed. An input is never replaced. The number of steps is the \
      same for every strength.

      Examples:
        streamflow edit photo.jpg "an octopus on a yellow background"
        streamflow edit photo.jpg "a fox" --strength 0.7 --count 4
        streamflow edit images/ more.png "sushi" --fit contain
        streamflow edit a.png "a fox" --guidance self-negative --cfg 1.5
        streamflow edit photo.jpg "a fox" --output - > fox.png
        streamflow edit photo.jpg "a rocket" --mask mask.png --mask-padding 32
        streamflow edit fox.png "a fox on a red background" --source-prompt "a fox on a blue \
      background"
        streamflow edit fox.png "a fox" --extend left=64,right=64
        streamflow edit photo.jpg "make the hat red" --model FLUX.1-Kontext-dev
      """, aliases: ["transform"])

  @Argument(
    help: ArgumentHelp(
      "Files and folders, followed by the prompt.", valueName: "input ... prompt"),
    completion: .file())
  var words: [String] = []

  @OptionGroup(title: "Model") var modelOptions: ModelOptions
  @OptionGroup(title: "Source") var sourceOptions: SourceOptions
  @OptionGroup(title: "Mask") var maskOptions: MaskOptions
  @OptionGroup(title: "Region") var regionOptions: RegionOptions
  @OptionGroup(title: "Editing") var methodOptions: MethodOptions
  @OptionGroup(title: "References") var referenceOptions: ReferenceOptions
  @OptionGroup(title: "Adapters") var adapterOptions: AdapterOptions

  @Option(name: [.customShort("n"), .long], help: "Number of images of each input.")
  var count = 1

  @OptionGroup(title: "Sampling") var sampling: SamplingOptions
  @OptionGroup(title: "Upscaling") var upscaleOptions: UpscaleOptions
  @OptionGroup(title: "Output") var outputOptions: OutputOptions
  @OptionGroup(title: "Engine") var engineOptions: DeviceOptions
  @OptionGroup(title: "Settings file") var configOptions: ConfigOptions
  @OptionGroup var reportOptions: ReportOptions

  func validate() throws {
    guard words.count >= 2 else {
      throw ValidationError(
        "Missing an input and a prompt. Try: streamflow edit photo.jpg \"a fox\"")
    }
    let manager = FileManager.default
    guard !manager.fileExists(atPath: words[words.count - 1]) else {
      if words.count == 2, !manager.fileExists(atPath: words[0]) {
        throw ValidationError(
          "The input comes first, the prompt last. Try: streamflow edit \(words[1]) "
            + "\"\(words[0])\"")
      }
      throw ValidationError(
        "The last argument is the prompt, and '\(words[words.count - 1])' is a file. Try: "
          + "streamflow edit \(words.joined(separator: " ")) \"a fox\"")
    }
    guard (1...1_000_000).contains(count) else {
      throw ValidationError("--count must be 1 to 1000000, got \(count)")
    }
    try upscaleOptions.check()
    if regionOptions.maskPadding != nil, maskOptions.mask == nil {
      throw ValidationError("--mask-padding needs --mask")
    }
    if methodOptions.method == .instruction,
      repaintsPart || sourceOptions.strength != nil || sourceOptions.fit != nil
    {
      throw ValidationError(
        "--method instruct reads the whole input in its own aspect ratio; leave --strength, --mask, "
          + "--extend and --fit out")
    }
  }

  /// Whether a part of the input is repainted.
  private var repaintsPart: Bool { maskOptions.mask != nil || regionOptions.extend != nil }

  /// Whether a model reads the inputs as references, and the prompt as an instruction.
  private func followsInstruction(_ checkpoint: Checkpoint) -> Bool {
    guard methodOptions.method == nil else { return methodOptions.method == .instruction }
    return checkpoint.referenceLimit > 0 && methodOptions.sourcePrompt == nil && !repaintsPart
      && sourceOptions.strength == nil && sourceOptions.fit == nil
  }

  func run() async throws {
    try await reporting {
      let inputs = try words.dropLast().map(TransformInput.init)
      let files = inputs.flatMap(\.files)
      let checkpoint = try adapterOptions.applied(
        to: engineOptions.applied(to: modelOptions.checkpoint()))
      let isInstruction = followsInstruction(checkpoint)
      if isInstruction {
        try checkpoint.checkReferenceCount(referenceOptions.references.count + 1)
      }
      if !isInstruction, referenceOptions.references.isEmpty, referenceOptions.referenceArea != nil
      {
        throw ValidationError("--reference-area needs --reference, or --method instruct")
      }
      var request = sampling.request(
        words[words.count - 1], of: checkpoint, spacing: isInstruction ? nil : .uniform)
      try referenceOptions.apply(to: &request)
      let defaults = methodOptions.defaults(of: checkpoint)
      if let defaults {
        request.takeEditing(
          defaults, sourcePrompt: methodOptions.sourcePrompt ?? "", besides: sampling.fields)
      }
      request.controls = try adapterOptions.inputs(of: checkpoint, hasInput: true)
      var sampling = sampling
      if isInstruction { sampling.takeShape(of: files, for: checkpoint) }
      var source = SourceList(
        files: files, count: count, sample: request, options: sourceOptions,
        isInstruction: isInstruction,
        edits: try InputEdits(
          mask: maskOptions, region: regionOptions,
          strength: sourceOptions.strength ?? defaults?.strength,
          size: try sampling.size(of: checkpoint, extending: regionOptions.extend, files: files)))
      let output = try ImageOutput(
        outputOptions, imageCount: source.imageCount, isJSON: reportOptions.json,
        inputs: files, names: (0..<source.imageCount).map { [source] in source.name(of: $0) })
      let engines = try engineOptions.engines()
      let generator = try sampling.generator(
        checkpoint, on: engines, placement: try engineOptions.placement(), request: request,
        imageCount: source.imageCount)
      let finish = ImageFinish(
        upscaling: try await upscaleOptions.upscaling(of: checkpoint, on: engines[0]))
      if outputOptions.resume, sampling.hasRandomSeed,
        let seed = ResumedRun.firstSeed(
          of: source, in: output,
          parameters: { finish.parameters(generator.parameters(of: $0)) })
      {
        source.sample.seed = seed
      }
      let run = GenerationRun(
        generator: generator, work: source, output: output, outputOptions: outputOptions,
        reporting: reportOptions, hasRandomSeed: sampling.hasRandomSeed, finish: finish,
        precisions: try engineOptions.precisions())
      defer { if !reportOptions.quiet { for input in inputs { input.noteSkipped() } } }
      try await Interrupt.cancelling { try await run() }
    }
  }
}
