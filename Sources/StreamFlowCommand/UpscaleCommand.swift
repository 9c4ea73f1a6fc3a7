internal import ArgumentParser
internal import FlowCore
internal import FlowImage
internal import FlowModels
internal import Foundation
internal import StreamFlow

/// `streamflow upscale`: enlarges images.
struct UpscaleCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "upscale", abstract: "Make images 2 or 4 times as large.",
    discussion: """
      Takes PNG and JPEG files, and folders of them; other images in a folder are skipped and listed. \
      An input is never replaced. The settings that an image was generated with are kept, and the \
      upscaling is added. Without --upscaler, Lanczos' filter is used.

      Examples:
        streamflow upscale photo.jpg --scale 2
        streamflow upscale photo.jpg --upscaler realesr-general-x4v3.safetensors
        streamflow upscale out/ more.png --upscaler RealESRGAN_x4plus.safetensors --output large
      """)

  @Argument(help: ArgumentHelp("Files and folders.", valueName: "input"), completion: .file())
  var inputs: [String] = []

  @Option(help: "Factor of width and height.")
  var scale = UpscaleFactor.four

  @OptionGroup var upscalerOptions: UpscalerOptions

  @Option(help: ArgumentHelp("The color behind transparent pixels.", valueName: "rrggbb"))
  var background = ColorArgument(color: .white)

  @OptionGroup(title: "Output") var outputOptions: OutputOptions
  @OptionGroup(title: "Engine") var engineOptions: DeviceOptions
  @OptionGroup(title: "Settings file") var configOptions: ConfigOptions
  @OptionGroup var reportOptions: ReportOptions

  func validate() throws {
    guard !inputs.isEmpty else {
      throw ValidationError("Missing an input. Try: streamflow upscale photo.jpg --scale 2")
    }
    guard !outputOptions.resume else {
      throw ValidationError(
        "--resume tells images apart by their seeds, and inputs have none; name those that are "
          + "missing")
    }
    guard engineOptions.precision?.isInt8 != true, engineOptions.weights == WeightForms(),
      engineOptions.keyDownsampling == nil
    else {
      throw ValidationError(
        "--precision int8, --weights and --key-downsampling are not supported by upscalers")
    }
  }

  func run() async throws {
    try await reporting {
      let inputs = try inputs.map(TransformInput.init)
      let upscaler = try await upscalerOptions.upscaler(on: engineOptions.engines()[0])
      let run = UpscaleRun(
        files: inputs.flatMap(\.files), upscaling: try Upscaling(upscaler, by: scale.rawValue),
        background: background.color, outputOptions: outputOptions, reporting: reportOptions)
      defer { if !reportOptions.quiet { for input in inputs { input.noteSkipped() } } }
      try await Interrupt.cancelling { try await run() }
    }
  }
}

/// One run of `streamflow upscale`: reads images, writes larger images, and reports.
struct UpscaleRun: Sendable {
  let files: [String]
  let upscaling: Upscaling
  /// The color under transparent pixels.
  let background: RGBColor
  let outputOptions: OutputOptions
  let reporting: ReportOptions

  private struct Written: Encodable {
    let file: String
    let source: String
    let width: Int
    let height: Int
  }

  private struct Report: Encodable {
    let upscaler: String
    let scale: Int
    let pictures: [Written]
    let contactSheet: String?
    let failed: Int
    let seconds: Double
  }

  func callAsFunction() async throws {
    let names = files.map { URL(filePath: $0).deletingPathExtension().lastPathComponent }
    var output = try ImageOutput(
      outputOptions, imageCount: files.count, isJSON: reporting.json, inputs: files, names: names)
    var written: [Written] = []
    var thumbnails: [PixelImage] = []
    var statuses: [ExitCode] = []
    let start = ContinuousClock.now
    for (index, file) in files.enumerated() {
      try Task.checkCancellation()
      do {
        let source = try PixelImage(imageAt: file, background: background)
        let settings = GenerationSettings.adding(
          upscaling.settings, to: try ImageMetadata(path: file).parameters)
        let image = try await upscaling(source)
        let path = try output.write(
          image, index: index, name: names[index], parameters: settings)
        if output.wantsSheet { thumbnails.append(thumbnail(of: image)) }
        written.append(
          Written(file: path, source: file, width: image.width, height: image.height))
        if reporting.style == .plain, path != "-" { say(path) }
      } catch let error where Self.isOfOneImage(error) {
        Terminal.error(Remedy.words(error))
        statuses.append(ExitStatus.of(error))
      }
    }
    let sheet = try output.writeSheet(of: thumbnails)
    let seconds = (ContinuousClock.now - start).seconds
    switch reporting.style {
    case .quiet: break
    case .plain:
      say(
        String(
          format: "%@%d %@ in %.2f s, %d times as large, by %@",
          written.count == files.count ? "" : "\(written.count) of ", files.count,
          files.count == 1 ? "image" : "images", seconds, upscaling.factor, upscaling.upscaler.name)
      )
      if let sheet { say("contact sheet: \(sheet == "-" ? "standard output" : sheet)") }
    case .json:
      try Terminal.output(
        JSON.text(
          of: Report(
            upscaler: upscaling.upscaler.name, scale: upscaling.factor, pictures: written,
            contactSheet: sheet, failed: statuses.count, seconds: seconds)))
    }
    // The error of a single input determines the exit code.
    if let first = statuses.first {
      throw statuses.allSatisfy { $0 == first } ? first : ExitCode(EX_DATAERR)
    }
  }

  /// A thumbnail for the contact sheet, whose images have one size.
  private func thumbnail(of image: PixelImage) -> PixelImage {
    image.resampled(width: 256, height: 256, fit: ImageFit(.contain, background: background))
  }

  /// Whether an error belongs to one input, so that the others continue.
  private static func isOfOneImage(_ error: any Error) -> Bool {
    switch error {
    case let error as MediaError: error.code != .fileUnwritable && error.code != .outputIsInput
    case let error as ModelError: error.code == .notFinite || error.code == .requestInvalid
    default: false
    }
  }

  /// Prints a line, unless images go to standard output.
  private func say(_ line: String) {
    if outputOptions.usesStandardOutput { Terminal.note(line) } else { Terminal.output(line) }
  }
}
