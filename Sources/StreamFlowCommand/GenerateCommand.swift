internal import ArgumentParser
internal import FlowCore
internal import FlowEngine
internal import Foundation
internal import StreamFlow

/// `streamflow generate`: prompts to pictures.
struct GenerateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "generate", abstract: "Make pictures from prompts.",
    discussion: """
      Examples:
        streamflow generate "a fox on a blue background"
        streamflow generate "an octopus" "a rocket" --count 4 --output pictures
        streamflow generate "a (very red:1.3) fox on a [blue] background"
        streamflow generate --prompts-file prompts.txt --contact-sheet sheet.png
        streamflow generate "a cat" --model ./perflow-sd15 --schedule perflow --vae ./taesd
      """)

  @Argument(help: "What the pictures show.")
  var prompts: [String] = []

  @Option(help: "A file with a prompt a line; '-' reads standard input.")
  var promptsFile: String?

  @OptionGroup(title: "Model") var modelOptions: ModelOptions

  @Option(help: "The number of pictures of each prompt.")
  var count = 1

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
      onetime-negative (evaluated in the first step only), self-negative (a reference picture), \
      none; what suits the model unless said.
      """)
  var guidance: GuidanceKind?

  @Option(help: "How much of the unprompted side self-negative and onetime-negative take away.")
  var delta: Float = 1

  @Option(help: "What the pictures show not; needs a guidance scale other than 1.")
  var negativePrompt = ""

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

  @Option(help: "How times are laid out: diffusers (as it does), or uniform (1, .75, .5, .25, 0).")
  var spacing = FlowMatchingSchedule.Spacing.diffusers

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

  @OptionGroup(title: "Output") var outputOptions: OutputOptions
  @OptionGroup(title: "Engine") var engineOptions: EngineOptions

  @Flag(help: "Print one JSON object with files, settings and times.")
  var json = false

  @Flag(help: "Print nothing but errors.")
  var quiet = false

  func validate() throws {
    guard !prompts.isEmpty || promptsFile != nil else {
      throw ValidationError(
        "Missing a prompt. Try: streamflow generate \"a fox on a blue background\"")
    }
    guard (1...1_000_000).contains(count) else {
      throw ValidationError("--count must be 1 to 1000000, got \(count)")
    }
    if let steps, !(1...1000).contains(steps) {
      throw ValidationError("--steps must be 1 to 1000, got \(steps)")
    }
  }

  func run() async throws {
    try await reporting {
      let checkpoint = try modelOptions.checkpoint()
      let requests = try makeRequests(for: checkpoint)
      var options = GeneratorOptions()
      (options.width, options.height) = (width, height)
      options.skippedTextLayers = clipSkip
      options.decodeTiling = vaeTile
      let generator = try makeGenerator(checkpoint, options, rows: requests)
      let output = try PictureOutput(outputOptions, pictureCount: requests.count)
      let run = GenerationRun(
        generator: generator, requests: requests, output: output,
        style: json ? .json : quiet ? .quiet : .plain, cache: engineOptions.cache)
      try await Interrupt.cancelling { try await run() }
    }
  }

  private func makeRequests(for checkpoint: Checkpoint) throws -> [GenerationRequest] {
    var texts = prompts
    if let promptsFile { texts += try Self.lines(of: promptsFile) }
    guard !texts.isEmpty else {
      throw ValidationError("'\(promptsFile ?? "")' holds no prompt; write one a line")
    }
    let first = seed ?? UInt64(UInt32.random(in: 0 ... .max))
    let defaults = checkpoint.defaults(for: schedule)
    let scale = guidanceScale ?? defaults.guidanceScale
    let guidance =
      guidance?.guidance(scale: scale, delta: delta) ?? checkpoint.guidance(scale: scale)
    let repeated = texts.flatMap { [String](repeating: $0, count: count) }
    return repeated.enumerated().map { index, prompt in
      var request = GenerationRequest(prompt: prompt)
      request.negativePrompt = negativePrompt
      request.promptSyntax = promptSyntax
      request.seed = first &+ UInt64(index)
      request.stepCount = steps ?? defaults.stepCount
      request.guidance = guidance
      request.schedule = schedule
      request.spacing = spacing
      request.solver = solver
      request.noiseSource = noise
      return request
    }
  }

  private func makeGenerator(
    _ checkpoint: Checkpoint, _ options: GeneratorOptions, rows requests: [GenerationRequest]
  ) throws -> Generator {
    var options = options
    options.rowCapacity = stages.rows
    let generator = try Generator(
      checkpoint: checkpoint, options: options, configuration: engineOptions.configuration,
      cache: engineOptions.cache)
    // As many groups as there must be, of one size, so that the last one is no smaller.
    let rows = requests[0].guidance.rowsPerStep
    let together = max(generator.rowCapacity / rows, 1)
    let groups = (requests.count + together - 1) / together
    let even = (requests.count + groups - 1) / groups * rows
    guard stages.rows == nil, even != generator.rowCapacity else { return generator }
    options.rowCapacity = even
    return try Generator(
      checkpoint: checkpoint, options: options, configuration: engineOptions.configuration,
      cache: engineOptions.cache)
  }

  private static func lines(of path: String) throws -> [String] {
    let data: Data
    if path == "-" {
      data = FileHandle.standardInput.readDataToEndOfFile()
    } else {
      do { data = try Data(contentsOf: URL(filePath: path)) } catch {
        Terminal.error("cannot read '\(path)': \(error.localizedDescription)")
        throw ExitCode(EX_NOINPUT)
      }
    }
    return String(decoding: data, as: UTF8.self).split(whereSeparator: \.isNewline)
      .map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
  }
}
