internal import ArgumentParser
internal import FlowCore
internal import FlowEngine
internal import FlowModels
internal import StreamFlow

/// Sampling options of `generate`, `edit` and `video`.
///
/// Options that the user left out are nil, so that the settings of an image can replace them.
struct SamplingOptions: ParsableArguments {
  @Option(
    name: [.customShort("s"), .customLong("seed")],
    help: """
      Seed of the first image, incremented for each further one; -1 for a random one, which \
      is reported.
      """)
  var seed: SeedArgument?

  @Option(help: "Number of steps (default: the model's).")
  var steps: Int?

  @Option(help: "Width in pixels (default: the model's).")
  var width: Int?

  @Option(help: "Height in pixels (default: the model's).")
  var height: Int?

  @Option(
    help: ArgumentHelp("Width and height together, as 512 or 768x512.", valueName: "WxH"))
  var size: ImageSizeArgument?

  @Option(
    name: [.customLong("guidance-scale"), .customLong("cfg-scale"), .customLong("cfg")],
    help: "Classifier-free guidance scale; 1 disables it (default: the model's).")
  var guidanceScale: Float?

  @Option(
    help: """
      Where guidance takes the unconditional prediction from: full (evaluated in each step, two \
      batch rows), onetime-negative (evaluated in the first step only), self-negative (derived \
      from the input image), none (default: by the model and the scale).
      """)
  var guidance: Guidance.Kind?

  @Option(
    help: """
      How much of the unconditional prediction self-negative and onetime-negative use (default: 1).
      """)
  var delta: Float?

  @Option(
    help: ArgumentHelp(
      """
      Skip-layer guidance of Stable Diffusion 3.5: the layers that a third row of early steps \
      leaves out, as 7,8,9 or 7,8,9:scale=2.8,start=0.01,stop=0.2.
      """, valueName: "layers[:...]"))
  var skipLayers: SkipLayerGuidance?

  @Option(
    name: [.customLong("negative-prompt"), .customLong("negative")],
    help: "What to avoid; used only with a guidance scale other than 1.")
  var negativePrompt: String?

  @Option(
    name: .customLong("blend"),
    help: ArgumentHelp(
      "Another prompt, and how much of it is blended in (0 to 1); repeat for several.",
      valueName: "prompt:weight"))
  var blends: [BlendedPrompt] = []

  @Option(help: "How prompts are blended: spherical or linear (default: spherical).")
  var blendKind: PromptBlend.Kind?

  @Option(
    help: ArgumentHelp(
      "Another seed, and how much of its noise is blended in (0 to 1).",
      valueName: "seed:weight"))
  var seedBlend: BlendedSeed?

  @Option(
    help: "Another seed, whose noise is blended in; as --seed-blend, with its strength apart.")
  var variationSeed: UInt64?

  @Option(
    help: """
      How much of the variation seed's noise is blended in, 0 to 1: 0 gives the image of --seed, 1 \
      that of --variation-seed (default: 0.5).
      """)
  var variationStrength: Float?

  @Option(
    help: """
      Prompt syntax: weighted, where (more), [less] and (exactly:1.2) weight words, \\( is a \
      parenthesis, BREAK begins a chunk and long prompts continue in further chunks; or plain, \
      where everything is text and a long prompt is truncated (default: weighted).
      """)
  var promptSyntax: PromptSyntax?

  @Option(
    help: """
      Solver (default: euler). Parameters follow the name, as in \
      noise-refresh:rate=0.3: noise-refresh takes rate=0.5, stochastic-curved rate=0.5|ddpm, \
      overshooting scale=1, sde-stable and sde-euler step=curved|euler,scale=1,power=1, ema \
      gain=1,decay=0.9, taylorseer interval=3,first=6,last=2.
      """)
  var solver: Solver?

  @Option(
    help: """
      Sampling schedule: auto, flow-match, rectified, lcm, euler, euler-ancestral, or \
      perflow[:windows=4,prediction=diff_eps|ddim_eps|velocity] (default: auto, the model's).
      """)
  var schedule: ScheduleChoice?

  @Option(
    help: """
      Spacing of the noise levels: diffusers (as diffusers does; the default from noise), or \
      uniform (1, .75, .5, .25, 0; the default from an image).
      """)
  var spacing: FlowMatchingSchedule.Spacing?

  @Option(help: "Random generator to reproduce: PyTorch's cpu or cuda (default: cpu).")
  var noise: GaussianNoise.Source?

  @Option(help: "Number of last text encoder layers to skip (default: 0).")
  var clipSkip: Int?

  @Option(help: "Batch size, the images in flight: a number, or auto.")
  var batchSize = BatchSize(rows: nil)

  @Option(
    help: """
      Tiles for decoding, which give the same pixels with less memory: auto (where the whole image \
      would take more than 3 GB), off, or a side in pixels (16 or more).
      """)
  var vaeTile = DecodeTiling.automatic

  func validate() throws {
    try checkVariation()
    if let steps, !(1...1000).contains(steps) {
      throw ValidationError("--steps must be 1 to 1000, got \(steps)")
    }
    if size != nil, width != nil || height != nil {
      throw ValidationError("--size sets width and height; leave --width and --height out")
    }
    for (name, value) in [("guidance-scale", guidanceScale), ("delta", delta)] {
      if let value, !(value >= 0 && value.isFinite) {
        throw ValidationError("--\(name) must be a number of 0 or more, got \(value)")
      }
    }
    if let clipSkip, clipSkip < 0 {
      throw ValidationError("--clip-skip must be 0 or more, got \(clipSkip)")
    }
  }

  /// The width in pixels, if the user chose one.
  var chosenWidth: Int? { width ?? size?.width }

  /// The height in pixels, if the user chose one.
  var chosenHeight: Int? { height ?? size?.height }

  /// Whether the seed is random.
  var hasRandomSeed: Bool { seed == nil || seed == .random }

  /// The request of a prompt, with the model's defaults for options that were left out.
  ///
  /// - Parameters:
  ///   - prompt: the prompt.
  ///   - checkpoint: the model.
  ///   - spacing: the default spacing of the noise levels; nil for the model's.
  func request(
    _ prompt: String, of checkpoint: Checkpoint, spacing: FlowMatchingSchedule.Spacing?
  ) -> GenerationRequest {
    fields.request(prompt, of: checkpoint, spacing: spacing)
  }

  /// The options as fields; those that were left out are nil.
  var fields: SamplingFields {
    var fields = SamplingFields()
    fields.negativePrompt = negativePrompt
    fields.promptSyntax = promptSyntax
    if case .number(let number) = seed { fields.seed = number }
    fields.stepCount = steps
    (fields.guidance, fields.guidanceScale, fields.delta) = (guidance, guidanceScale, delta)
    fields.skipLayers = skipLayers
    (fields.schedule, fields.spacing, fields.solver) = (schedule, spacing, solver)
    fields.noiseSource = noise
    if !blends.isEmpty {
      fields.blend = PromptBlend(blends.map(\.part), kind: blendKind ?? .spherical)
    }
    fields.seedBlend = seedBlend?.blend ?? variation
    return fields
  }
}

extension SamplingOptions {
  /// The generators of the devices, for a number of images like a request's.
  func generator(
    _ checkpoint: Checkpoint, on engines: [EngineStore], placement: DevicePlacement,
    request: GenerationRequest, imageCount: Int
  ) throws -> GeneratorPool {
    // The images of a device, where all have as many.
    let imageCount = (imageCount + engines.count - 1) / engines.count
    var options = GeneratorOptions()
    (options.width, options.height) = (chosenWidth, chosenHeight)
    options.rowCapacity = batchSize.rows
    (options.skippedTextLayers, options.decodeTiling) = (clipSkip ?? 0, vaeTile)
    // The smallest number of groups, of equal size, so that the last one is not smaller.
    let capacity = Generator.rowCapacity(of: checkpoint, options)
    let rows = try checkpoint.peakRowCount(of: request)
    let together = max(capacity / rows, 1)
    let groups = max((imageCount + together - 1) / together, 1)
    if batchSize.rows == nil { options.rowCapacity = (imageCount + groups - 1) / groups * rows }
    let pool = try GeneratorPool(
      checkpoint: checkpoint, options: options, devices: engines, placement: placement)
    for part in pool.placement.parts where placement[part] == nil {
      Terminal.note(
        "\(part.words) on the CPU, since \(engines[0].device) states too little memory for all of "
          + "the model; --place \(part.rawValue)=\(engines[0].device) leaves it there")
    }
    return pool
  }
}

extension DevicePlacement.Part {
  /// What it does, for messages.
  fileprivate var words: String {
    switch self {
    case .text: "the text is encoded"
    case .decoder: "images are decoded"
    }
  }
}
