public import ArgumentParser
internal import FlowCore
public import StreamFlow

/// How pictures are made of a prompt: what `generate`, `transform` and `video` share.
struct SamplingOptions: ParsableArguments {
  @Option(help: "The seed of the first picture, the next has the next; a random one unless said.")
  var seed: UInt64?

  @Option(help: "The number of steps; what suits the model unless said.")
  var steps: Int?

  @Option(help: "The width in pixels; the model's own unless said.")
  var width: Int?

  @Option(help: "The height in pixels; the model's own unless said.")
  var height: Int?

  @Option(
    help: "How strongly the prompt steers, 1 for not more than it is; the model's own unless said.")
  var guidanceScale: Float?

  @Option(
    help: """
      Where guidance takes the unprompted side from: full (evaluated, two rows a step), \
      onetime-negative (evaluated in the first step only), self-negative (the picture that is \
      started from), none; what suits the model unless said.
      """)
  var guidance: Guidance.Kind?

  @Option(help: "How much of the unprompted side self-negative and onetime-negative take away.")
  var delta: Float = 1

  @Option(help: "What the pictures show not; needs a guidance scale other than 1.")
  var negativePrompt = ""

  @Option(
    name: .customLong("blend"),
    help: ArgumentHelp(
      "Another prompt, and how much of it is mixed in (0 to 1); repeat for several.",
      valueName: "prompt:weight"))
  var blends: [BlendedPrompt] = []

  @Option(help: "How prompts are blended: spherical (along the arc), or linear (their mean).")
  var blendKind = PromptBlend.Kind.spherical

  @Option(
    help: ArgumentHelp(
      "Another seed, and how much of its noise is mixed in (0 to 1).", valueName: "seed:weight"))
  var seedBlend: BlendedSeed?

  @Option(
    help: """
      How prompts are read: weighted, where (more), [less] and (so:1.2) weigh words, \\( is a \
      parenthesis, BREAK begins a chunk and long prompts go on in further chunks; or plain, where \
      all is text and the end of a long prompt is cut.
      """)
  var promptSyntax = PromptSyntax.weighted

  @Option(help: "How the flow is followed: euler, heun or ab2.")
  var solver = Solver.euler

  @Option(
    help: """
      The way through time: auto, flow-match, rectified, lcm, euler, euler-ancestral, or \
      perflow[:windows=4,prediction=diff_eps|ddim_eps|velocity].
      """)
  var schedule = ScheduleChoice.automatic

  @Option(
    help: """
      How times are laid out: diffusers (as it does; the default from noise), or uniform (1, .75, \
      .5, .25, 0; the default from a picture).
      """)
  var spacing: FlowMatchingSchedule.Spacing?

  @Option(help: "Whose noise the seed names: torch's cpu or cuda generator.")
  var noise = GaussianNoise.Source.cpu

  @Option(help: "How many of the text encoder's last layers are left out.")
  var clipSkip = 0

  @Option(help: "The rows of a tick, pictures in flight: a number, or auto.")
  var stages = StageCount(rows: nil)

  @Option(
    help: """
      The tiles that pictures are decoded in, to the same pixels with less memory: auto (where the \
      whole would take more than 3 GB), off, or pixels a side (16 or more).
      """)
  var vaeTile = DecodeTiling.automatic

  func validate() throws {
    if let steps, !(1...1000).contains(steps) {
      throw ValidationError("--steps must be 1 to 1000, got \(steps)")
    }
  }

  /// The request of a prompt, with what suits the model where the user says nothing.
  ///
  /// - Parameters:
  ///   - prompt: the prompt.
  ///   - checkpoint: the model.
  ///   - spacing: the layout of times where the user says nothing.
  func request(
    _ prompt: String, of checkpoint: Checkpoint, spacing: FlowMatchingSchedule.Spacing
  ) -> GenerationRequest {
    var request = checkpoint.request(prompt, schedule: schedule, guidanceScale: guidanceScale)
    request.negativePrompt = negativePrompt
    request.promptSyntax = promptSyntax
    if let seed { request.seed = seed }
    if let steps { request.stepCount = steps }
    if let guidance {
      let scale = guidanceScale ?? checkpoint.defaults(for: schedule).guidanceScale
      request.guidance = guidance.guidance(scale: scale, delta: delta)
    }
    request.spacing = self.spacing ?? spacing
    request.solver = solver
    request.noiseSource = noise
    if !blends.isEmpty { request.blend = PromptBlend(blends.map(\.part), kind: blendKind) }
    request.seedBlend = seedBlend?.blend
    return request
  }
}

extension SamplingOptions {
  /// A generator for so many pictures.
  func generator(
    _ checkpoint: Checkpoint, engines: EngineOptions, guidance: Guidance, pictureCount: Int
  ) throws -> Generator {
    var options = GeneratorOptions()
    (options.width, options.height, options.rowCapacity) = (width, height, stages.rows)
    (options.skippedTextLayers, options.decodeTiling) = (clipSkip, vaeTile)
    func make() throws -> Generator {
      try Generator(
        checkpoint: checkpoint, options: options, configuration: engines.configuration,
        cache: engines.cache)
    }
    let generator = try make()
    // As many groups as there must be, of one size, so that the last one is no smaller.
    let rows = guidance.rowsPerStep
    let together = max(generator.rowCapacity / rows, 1)
    let groups = (pictureCount + together - 1) / together
    let even = (pictureCount + groups - 1) / groups * rows
    guard stages.rows == nil, even != generator.rowCapacity else { return generator }
    options.rowCapacity = even
    return try make()
  }
}

/// A prompt with a weight behind a colon.
struct BlendedPrompt: ExpressibleByArgument {
  let part: PromptBlend.Part

  init?(argument: String) {
    guard let (prompt, weight) = weighted(argument) else { return nil }
    part = PromptBlend.Part(prompt: prompt, weight: weight)
  }
}

/// A seed with a weight behind a colon.
struct BlendedSeed: ExpressibleByArgument {
  let blend: SeedBlend

  init?(argument: String) {
    guard let (text, weight) = weighted(argument), let seed = UInt64(text) else { return nil }
    blend = SeedBlend(seed: seed, fraction: weight)
  }
}

/// A text and the number from 0 to 1 behind its last colon.
private func weighted(_ argument: String) -> (text: String, weight: Float)? {
  guard let colon = argument.lastIndex(of: ":"),
    let weight = Float(argument[argument.index(after: colon)...]), (0...1).contains(weight)
  else { return nil }
  return (String(argument[..<colon]), weight)
}

extension PromptBlend.Kind: ExpressibleByArgument {}
