public import ArgumentParser
internal import FlowCore
internal import FlowImage
public import FlowVideo
internal import Foundation
public import StreamFlow

/// `streamflow video`: transforms a video, a camera or a screen.
struct VideoCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "video", abstract: "Transform a video, a camera or a screen, frame by frame.",
    discussion: """
      Needs ffmpeg. The output has every frame of a file, at its time, with the file's aspect \
      ratio, rotation, colors, sound, subtitles, chapters and metadata; tracks that the output \
      format cannot hold are reported. The size is the model's number of pixels; --scale-output \
      scales the result. A camera or a screen always provides its latest frame. Ctrl-C stops and \
      saves the frames so far.

      Standard input (-) may be any format that ffmpeg reads. MP4 and QuickTime are stored in a \
      temporary file first (TMPDIR, up to 16 GiB); other formats are read as they arrive, without \
      sound.

      Examples:
        streamflow video clip.mp4 "a fox on a blue background" --output fox.mp4
        streamflow video clip.mp4 "sushi" --strength 0.4 --similar 0.999 --preview side-by-side
        streamflow video clip.mp4 "a fox" --scale-output source --output fox.mkv
        streamflow video desk.mp4 "a fox" --hold-still --region-margin 32 --size 256
        streamflow video --camera /dev/video0 "an octopus" --output me.mkv --duration 10
        streamflow video --screen :0.0 "a rocket" --fps 5 --output screen.mp4
        cat clip.mp4 | streamflow video - "a fox" --output - | ffplay -
      """)

  @Argument(
    help: ArgumentHelp(
      """
      A file, an address, a folder or pattern of images (frames/%04d.png), lavfi:GRAPH, or - for a \
      video on standard input; and the prompt.
      """, valueName: "input prompt"),
    completion: .file())
  var words: [String] = []

  @Option(
    help: ArgumentHelp("A camera: /dev/video0, or a name on macOS.", valueName: "device"),
    completion: .file())
  var camera: String?

  @Option(help: ArgumentHelp("A screen: :0.0, or a number on macOS.", valueName: "display"))
  var screen: String?

  @Option(
    help: ArgumentHelp(
      "The size of raw RGB frames on standard input; --fps is their rate.", valueName: "WxH"))
  var rawSize: SizeArgument?

  @OptionGroup(title: "Model") var modelOptions: ModelOptions
  @OptionGroup(title: "Source") var sourceOptions: SourceOptions
  @OptionGroup(title: "Mask") var maskOptions: MaskOptions
  @OptionGroup(title: "Editing") var methodOptions: MethodOptions
  @OptionGroup(title: "Adapters") var adapterOptions: AdapterOptions
  @OptionGroup(title: "Frames") var frameOptions: FrameOptions
  @OptionGroup(title: "Reuse") var reuseOptions: ReuseOptions
  @OptionGroup(title: "Sampling") var sampling: SamplingOptions

  @OptionGroup(title: "Upscaling") var upscaleOptions: UpscaleOptions

  @Option(
    help: ArgumentHelp(
      """
      Scale the output: source (to the input's size), a factor such as 4, or a size such as \
      1280x720.
      """, valueName: "source|factor|WxH"))
  var scaleOutput: OutputScale?

  @Option(
    name: [.short, .long],
    help: """
      The file to write; its extension sets the format: mp4, mov, mkv, webm, avi, gif, apng, y4m, \
      rgb, or a pattern of images (frames/%04d.png); - for y4m on standard output.
      """,
    completion: .file())
  var output = "out.mp4"

  @Option(help: "The name of an ffmpeg encoder, instead of the default one.")
  var encoder: String?

  @Flag(help: "Omit the audio.")
  var mute = false

  @Option(help: "Show the input beside the output.")
  var preview = Preview.none

  @Flag(help: "Replace an existing file. The input is never replaced.")
  var overwrite = false

  @OptionGroup(title: "Engine") var engineOptions: DeviceOptions

  @Flag(help: "Print one JSON object with counts, times and percentiles.")
  var json = false

  @Flag(help: "Print nothing but errors.")
  var quiet = false

  @Flag(help: "Also report how the batch size was chosen.")
  var verbose = false

  @OptionGroup(title: "Settings file") var configOptions: ConfigOptions

  enum Preview: String, ExpressibleByArgument, CaseIterable {
    case none
    case sideBySide = "side-by-side"
  }

  private var isDevice: Bool { camera != nil || screen != nil }

  func validate() throws {
    guard camera == nil || screen == nil else {
      throw ValidationError("--camera and --screen are mutually exclusive; choose one")
    }
    guard words.count == (isDevice ? 1 : 2) else {
      throw ValidationError(
        isDevice
          ? "Needs one prompt. Try: streamflow video --screen :0.0 \"a fox\""
          : "Needs an input and a prompt. Try: streamflow video clip.mp4 \"a fox\"")
    }
    try upscaleOptions.check()
    guard methodOptions.method != .instruction else {
      throw ValidationError(
        "--method instruct edits images; a video takes sdedit or a method that reads what it shows")
    }
    if rawSize != nil, isDevice || words[0] != "-" {
      throw ValidationError("--raw-size needs standard input: streamflow video - \"a fox\"")
    }
  }

  func run() async throws {
    try await reporting {
      let checkpoint = try adapterOptions.applied(
        to: engineOptions.applied(to: modelOptions.checkpoint()))
      var settings = LiveSettings(prompt: "")
      settings.request = sampling.request(
        words[words.count - 1], of: checkpoint, spacing: .uniform)
      let defaults = methodOptions.defaults(of: checkpoint)
      if let defaults {
        settings.request.takeEditing(
          defaults, sourcePrompt: methodOptions.sourcePrompt ?? "", besides: sampling.fields)
      }
      settings.request.controls = try adapterOptions.inputs(of: checkpoint, hasInput: true)
      settings.request.recordInputHashes()
      settings.mask = try maskOptions.mask(of: nil)
      settings.maskBlur = maskOptions.maskBlur
      settings.strength =
        sourceOptions.strength ?? defaults?.strength ?? (settings.mask == nil ? 0.5 : 0.75)
      settings.fit = fit
      settings.seedPolicy = frameOptions.seedPolicy
      (settings.width, settings.height) = (sampling.chosenWidth, sampling.chosenHeight)
      settings.filter = frameOptions.filter
      settings.reuse = reuseOptions.reuse
      if !quiet { PromptWarnings.warnOfUnusedTags(in: [settings.request], of: checkpoint) }
      var options = LiveOptions()
      options.frameBuffer = frameOptions.frameBuffer
      options.decodeBatch = frameOptions.decodeBatch
      if let overlap = frameOptions.overlap.isOn { options.overlaps = overlap }
      options.rowCapacity = sampling.batchSize.rows
      options.skippedTextLayers = sampling.clipSkip ?? 0
      options.decodeTiling = sampling.vaeTile
      options.decodesChanges = reuseOptions.partialDecode
      options.waitsForRegions = !source.isLive
      let engines = try engineOptions.engines()[0]
      let stream = try LiveStream(
        checkpoint: checkpoint, settings: settings, options: options, engines: engines)
      noteUnusedDevices()
      if !quiet { await Terminal.warn(stream.advice, of: checkpoint) }
      let run = VideoRun(
        stream: stream, source: source, selection: try frameOptions.selection,
        target: VideoTarget(
          path: output, encoder: encoder, isMute: mute, isSideBySide: preview == .sideBySide,
          scale: scaleOutput, overwrites: overwrite),
        background: sourceOptions.background.color,
        upscaling: try await upscaleOptions.upscaling(of: checkpoint, on: engines),
        precision: PrecisionReport(try engineOptions.precisions()[0], of: checkpoint),
        style: json ? .json : quiet ? .quiet : verbose ? .verbose : .plain)
      try await Interrupt.cancelling { try await run() }
    }
  }

  /// A stream's frames share a batch, and follow each other at a steady pace on one device alone.
  private func noteUnusedDevices() {
    let devices = engineOptions.devices
    if !quiet, devices.count > 1 {
      Terminal.warning(
        "all frames of a video are made on one device, \(devices[0]); others are for `generate`, "
          + "`edit`, and the streams of `serve`")
    }
    if !quiet, let parts = engineOptions.place?.parts, !parts.isEmpty {
      Terminal.warning(
        "all parts of the model are on \(devices[0]) for a video; --place is not used")
    }
  }

  /// Where the output is scaled back to the input's size, stretching there and back loses nothing.
  private var fit: ImageFit {
    let isFree =
      sourceOptions.fit == nil && sampling.chosenWidth == nil && sampling.chosenHeight == nil
    return scaleOutput == .source && isFree
      ? ImageFit(.stretch, background: sourceOptions.background.color) : sourceOptions.imageFit
  }

  private var source: VideoSource {
    let rate = frameOptions.fps
    if let camera { return .camera(camera, rate: rate) }
    if let screen { return .screen(screen, rate: rate) }
    guard words[0] == "-", let rawSize else { return VideoSource(parsing: words[0], rate: rate) }
    return .standardInput(.rgb(rawSize.size, rate: rate ?? FrameRate(25)))
  }
}

/// Options of the frame selection and of the live stream.
struct FrameOptions: ParsableArguments {
  @Option(help: "Start time: seconds, or hours:minutes:seconds.")
  var start: TimeArgument?

  @Option(help: "Duration: seconds, or hours:minutes:seconds.")
  var duration: TimeArgument?

  @Option(help: "Take every n-th frame; the duration stays the same.")
  var every = 1

  @Option(help: "Frame rate: 25, 30000/1001 (default: the input's).")
  var fps: FrameRate?

  @Option(
    help: ArgumentHelp(
      """
      Skip frames whose cosine similarity to the previous one is at least this (0 to 1), and \
      repeat its image; the probability rises from there to 1.
      """, valueName: "threshold"))
  var similar: Double?

  @Option(help: "Maximum number of consecutive skipped frames.")
  var maxSkips = 10

  @Flag(help: "Skip every frame above the threshold, not at random.")
  var certain = false

  @Option(help: "Noise: the same for all frames (fixed), or another for each (per-frame).")
  var seedPolicy = LiveSettings.SeedPolicy.fixed

  @Option(help: "Number of frames that are admitted together.")
  var frameBuffer = 1

  @Option(help: "Maximum number of images that are decoded together.")
  var decodeBatch = 4

  @Option(
    help: """
      Whether encoding, batch steps and decoding run at the same time: on, off, or auto (from \
      8 cores on; with fewer they take turns).
      """)
  var overlap = Overlap.auto

  enum Overlap: String, ExpressibleByArgument, CaseIterable {
    case auto
    case on
    case off

    var isOn: Bool? { self == .auto ? nil : self == .on }
  }

  func validate() throws {
    guard every > 0 else { throw ValidationError("--every must be 1 or more, got \(every)") }
    if let similar, !(0...1).contains(similar) {
      throw ValidationError("--similar must be 0 to 1, got \(similar)")
    }
    guard maxSkips >= 0 else {
      throw ValidationError("--max-skips must be 0 or more, got \(maxSkips)")
    }
  }

  var filter: FrameGate.Settings? {
    similar.map {
      FrameGate.Settings(threshold: $0, maximumSkips: maxSkips, seed: certain ? nil : 0)
    }
  }

  var selection: FrameSelection {
    get throws {
      FrameSelection(
        start: start?.time ?? .zero, duration: duration?.time, every: every, rate: fps)
    }
  }
}

/// A time such as `12.5`, `1:30` or `1:02:03.5`.
struct TimeArgument: ExpressibleByArgument {
  let time: Duration

  init?(argument: String) {
    let parts = argument.split(separator: ":", omittingEmptySubsequences: false).map { Double($0) }
    guard (1...3).contains(parts.count) else { return nil }
    var seconds = 0.0
    for part in parts {
      guard let part, part >= 0, part.isFinite else { return nil }
      seconds = seconds * 60 + part
    }
    guard seconds < 1e9 else { return nil }
    time = .milliseconds(Int64((seconds * 1000).rounded()))
  }
}

/// A size such as `640x480`.
struct SizeArgument: ExpressibleByArgument {
  let size: PixelSize

  init?(argument: String) {
    let parts = argument.lowercased().split(separator: "x").map { Int($0) }
    guard parts.count == 2, let width = parts[0], let height = parts[1],
      (1...32768).contains(width), (1...32768).contains(height)
    else { return nil }
    size = PixelSize(width: width, height: height)
  }
}

/// The scaling of the output.
enum OutputScale: Equatable, ExpressibleByArgument {
  case source
  case factor(Double)
  case size(PixelSize)

  init?(argument: String) {
    if argument == "source" {
      self = .source
    } else if let size = SizeArgument(argument: argument)?.size {
      self = .size(size)
    } else if let factor = Double(argument), factor > 0, factor <= 64 {
      self = .factor(factor)
    } else {
      return nil
    }
  }

  /// The size of the output in pixels.
  ///
  /// - Parameters:
  ///   - image: the size of the generated images.
  ///   - input: the size of the input's frames.
  func size(of image: PixelSize, input: PixelSize) -> PixelSize {
    switch self {
    case .source: input
    case .size(let size): size
    case .factor(let factor):
      PixelSize(
        width: max(Int((Double(image.width) * factor).rounded()), 1),
        height: max(Int((Double(image.height) * factor).rounded()), 1))
    }
  }
}

extension FrameRate: ExpressibleByArgument {}
extension LiveSettings.SeedPolicy: ExpressibleByArgument {}
