internal import ArgumentParser
internal import FlowCore
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

  @Option(help: "File with one prompt per line; '#' begins a comment, '-' reads standard input.")
  var promptsFile: String?

  @OptionGroup(title: "Model") var modelOptions: ModelOptions

  @Option(help: "The number of pictures of each prompt.")
  var count = 1

  @OptionGroup(title: "Sampling") var sampling: SamplingOptions
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
  }

  func run() async throws {
    try await reporting {
      let checkpoint = try engineOptions.applied(to: modelOptions.checkpoint())
      var texts = prompts
      if let promptsFile { texts += try PromptsFile.prompts(at: promptsFile) }
      guard !texts.isEmpty else {
        throw ValidationError("'\(promptsFile ?? "")' holds no prompt; write one a line")
      }
      let sample = sampling.request(texts[0], of: checkpoint, spacing: .diffusers)
      let work = PromptList(prompts: texts, count: count, sample: sample)
      let generator = try sampling.generator(
        checkpoint, engines: engineOptions, guidance: sample.guidance,
        pictureCount: work.pictureCount)
      let output = try PictureOutput(outputOptions, pictureCount: work.pictureCount)
      let run = GenerationRun(
        generator: generator, work: work, output: output,
        style: json ? .json : quiet ? .quiet : .plain)
      try await Interrupt.cancelling { try await run() }
    }
  }
}

/// Prompts, each to be made into some pictures.
struct PromptList: PictureWork {
  let prompts: [String]
  /// The pictures of each.
  let count: Int
  let sample: GenerationRequest

  var pictureCount: Int { prompts.count * count }
  var portion: Int { pictureCount }
  var strength: Double? { nil }

  func requests(_ range: Range<Int>) -> [Result<GenerationRequest, any Error>] {
    range.map { index in
      var request = sample
      request.prompt = prompts[index / count]
      request.seed &+= UInt64(index)
      return .success(request)
    }
  }

  func name(of index: Int) -> String { prompts[index / count] }
  func source(of index: Int) -> String? { nil }
}
