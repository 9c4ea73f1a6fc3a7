public import FlowCore

/// What is known of a video before its frames are read.
public struct VideoInformation: Hashable, Sendable {
  /// The size of a frame as it is shown: with square pixels, and turned as the file says.
  public var size: PixelSize
  /// The frames by the time they take, where the file tells.
  public var averageRate: FrameRate?
  /// The lowest rate on whose grid every frame lies, where ffmpeg could tell.
  public var nominalRate: FrameRate?
  /// The number of frames, where the file says it.
  public var frameCount: Int?
  /// How long the video is, where the file says it.
  public var duration: Duration?
  /// ffmpeg's name of the codec: `h264`.
  public var codec: String
  /// ffmpeg's name of the layout of pixels: `yuv420p`.
  public var pixelFormat: String?
  /// How numbers stand for colors.
  public var color: VideoColor
  /// ffmpeg's names of the codecs of the audio streams.
  public var audioCodecs: [String]
  /// ffmpeg's names of the codecs of the subtitles.
  public var subtitleCodecs: [String] = []
  /// Whether pixels have an alpha channel.
  public var hasAlpha = false
  /// The decoder that reads the alpha channel, where ffmpeg's usual one does not.
  var alphaDecoder: String? = nil

  /// The aspect ratios of stored pixels that are made square; others are taken as the nearest.
  static let pixelAspects = 0.1...10.0

  /// Whether the time between frames varies: the rates differ by more than rounding explains.
  public var isRateVariable: Bool {
    guard let averageRate, let nominalRate else { return true }
    return abs(averageRate.framesPerSecond / nominalRate.framesPerSecond - 1) > 0.002
  }

  /// The constant rate that the frames fit: the average where the rate is constant, else the nominal
  /// one, at most 60; 25 where nothing is known.
  public var readingRate: FrameRate {
    if !isRateVariable, let averageRate { return averageRate }
    guard let nominalRate else { return averageRate ?? FrameRate(25) }
    return nominalRate.framesPerSecond > 60 ? FrameRate(60) : nominalRate
  }
}

/// How the numbers of a video stand for colors, in ffmpeg's names; nil where it is not said.
public struct VideoColor: Hashable, Sendable {
  /// `tv` for 16 to 235, `pc` for 0 to 255.
  public var range: String?
  /// The weights of red, green and blue in luma: `bt709`, `smpte170m`, `bt2020nc`.
  public var matrix: String?
  /// The colors of full red, green and blue: `bt709`, `bt2020`.
  public var primaries: String?
  /// The light of each number: `bt709`, `smpte2084`.
  public var transfer: String?

  /// Creates a description; what is left out is not known.
  public init(
    range: String? = nil, matrix: String? = nil, primaries: String? = nil, transfer: String? = nil
  ) {
    self.range = range
    self.matrix = matrix
    self.primaries = primaries
    self.transfer = transfer
  }

  /// High definition: BT.709 in the range of television.
  public static let highDefinition = VideoColor(
    range: "tv", matrix: "bt709", primaries: "bt709", transfer: "bt709")

  /// Whether the numbers stand for more light than a standard screen shows: HLG or PQ.
  public var isHighDynamicRange: Bool {
    transfer == "smpte2084" || transfer == "arib-std-b67"
  }

  /// What players take a compressed video for that says no matrix: BT.709 where it is large.
  static func guessedMatrix(_ size: PixelSize) -> String {
    size.width >= 1280 || size.height > 576 ? "bt709" : "smpte170m"
  }

  /// This description with BT.709 and the range of television for what is unknown, or is no matrix
  /// that RGB is turned into.
  var writable: VideoColor {
    let known = [
      "bt709", "smpte170m", "bt470bg", "smpte240m", "fcc", "bt2020nc",
    ]
    guard let matrix, known.contains(matrix) else { return .highDefinition }
    return VideoColor(
      range: range == "pc" ? "pc" : "tv", matrix: matrix, primaries: primaries ?? "bt709",
      transfer: transfer ?? "bt709")
  }
}
