internal import ArgumentParser
internal import FlowCore
internal import FlowMedia
internal import Foundation
internal import StreamFlow

/// `streamflow transform`: pictures to pictures.
struct TransformCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "transform", abstract: "Make pictures of pictures.",
    discussion: """
      Takes PNG and JPEG files, and folders of them; the last argument is the prompt. Other images \
      in a folder are skipped and named. An input is never replaced. Steps are those that really \
      run, however strong the change is.

      Examples:
        streamflow transform photo.jpg "an octopus on a yellow background"
        streamflow transform photo.jpg "a fox" --strength 0.7 --count 4
        streamflow transform pictures/ more.png "sushi" --fit contain --background 000000
        streamflow transform a.png "a fox" --guidance self-negative --guidance-scale 1.5
      """)

  @Argument(
    help: ArgumentHelp(
      "Files and folders, and what the pictures show.", valueName: "input ... prompt"))
  var words: [String] = []

  @OptionGroup(title: "Model") var modelOptions: ModelOptions
  @OptionGroup(title: "Source") var sourceOptions: SourceOptions

  @Option(help: "The number of pictures of each input.")
  var count = 1

  @OptionGroup(title: "Sampling") var sampling: SamplingOptions
  @OptionGroup(title: "Output") var outputOptions: OutputOptions
  @OptionGroup(title: "Engine") var engineOptions: EngineOptions

  @Flag(help: "Print one JSON object with files, settings and times.")
  var json = false

  @Flag(help: "Print nothing but errors.")
  var quiet = false

  func validate() throws {
    guard words.count >= 2 else {
      throw ValidationError(
        "Missing an input and a prompt. Try: streamflow transform photo.jpg \"a fox\"")
    }
    guard !FileManager.default.fileExists(atPath: words[words.count - 1]) else {
      throw ValidationError(
        "The last argument is the prompt, and '\(words[words.count - 1])' is a file. Try: streamflow "
          + "transform \(words.joined(separator: " ")) \"a fox\"")
    }
    guard (1...1_000_000).contains(count) else {
      throw ValidationError("--count must be 1 to 1000000, got \(count)")
    }
  }

  func run() async throws {
    try await reporting {
      let inputs = try words.dropLast().map(TransformInput.init)
      let files = inputs.flatMap(\.files)
      let checkpoint = try engineOptions.applied(to: modelOptions.checkpoint())
      let request = sampling.request(words[words.count - 1], of: checkpoint, spacing: .uniform)
      let source = SourceList(
        files: files, count: count, request: request, options: sourceOptions)
      let generator = try sampling.generator(
        checkpoint, engines: engineOptions, guidance: request.guidance,
        pictureCount: files.count * count)
      let output = try PictureOutput(
        outputOptions, pictureCount: files.count * count, inputs: files,
        names: (0..<source.pictureCount).map(source.name))
      let run = GenerationRun(
        generator: generator, work: source, output: output,
        style: json ? .json : quiet ? .quiet : .plain)
      defer { if !quiet { for input in inputs { input.noteSkipped() } } }
      try await Interrupt.cancelling { try await run() }
    }
  }
}

/// Files to be made into pictures, read a few at a time.
struct SourceList: PictureWork {
  let files: [String]
  /// The pictures of each.
  let count: Int
  let request: GenerationRequest
  let options: SourceOptions

  var pictureCount: Int { files.count * count }
  var sample: GenerationRequest { request }
  var prompts: [String] { [request.prompt] }
  var strength: Double? { options.strength }
  /// Files are read for so many pictures at a time: their pixels wait in memory.
  var portion: Int { 32 }

  func requests(_ range: Range<Int>) -> [Result<GenerationRequest, any Error>] {
    var read: (file: Int, image: Result<PixelImage, MediaError>)?
    return range.map { index in
      let file = index / count
      let image: Result<PixelImage, MediaError>
      if let read, read.file == file {
        image = read.image
      } else {
        image = Result { () throws(MediaError) in
          try PixelImage(pictureAt: files[file], background: options.background.color)
        }
        read = (file, image)
      }
      return image.mapError { $0 }.map { image in
        var request = request
        request.seed &+= UInt64(index)
        request.source = SourcePicture(
          image: image, strength: options.strength, fit: options.pictureFit)
        return request
      }
    }
  }

  func name(of index: Int) -> String {
    URL(filePath: files[index / count]).deletingPathExtension().lastPathComponent
  }

  func source(of index: Int) -> String? { files[index / count] }
}
