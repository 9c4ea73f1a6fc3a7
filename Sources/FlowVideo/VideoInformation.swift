public import FlowCore

/// The properties of a video, before its frames are read.
public struct VideoInformation: Hashable, Sendable {
  /// The displayed size of a frame: with square pixels, and rotated as the file specifies.
  public var size: PixelSize
  /// The average rate, if the file specifies it.
  public var averageRate: FrameRate?
  /// The lowest rate whose grid contains every frame, if ffmpeg could determine it.
  public var nominalRate: FrameRate?
  /// The number of frames, if the file specifies it.
  public var frameCount: Int?
  /// The duration, if the file specifies it.
  public var duration: Duration?
  /// ffmpeg's name of the codec: `h264`.
  public var codec: String
  /// ffmpeg's name of the pixel format: `yuv420p`.
  public var pixelFormat: String?
  /// The color encoding.
  public var color: VideoColor
  /// ffmpeg's names of the codecs of the audio streams.
  public var audioCodecs: [String]
  /// ffmpeg's names of the codecs of the subtitles.
  public var subtitleCodecs: [String] = []
  /// The file's comment, if it has one.
  public var comment: String? = nil
  /// Whether pixels have an alpha channel.
  public var hasAlpha = false
  /// The decoder that reads the alpha channel, if ffmpeg's default decoder does not.
  var alphaDecoder: String? = nil

  /// The pixel aspect ratios that are made square; others are clamped to this range.
  static let pixelAspects = 0.1...10.0

  /// Whether the time between frames varies: whether the rates differ by more than rounding.
  public var isRateVariable: Bool {
    guard let averageRate, let nominalRate else { return true }
    return abs(averageRate.framesPerSecond / nominalRate.framesPerSecond - 1) > 0.002
  }

  /// The constant rate of the frames: the average if the rate is constant, else the nominal rate,
  /// at most 60; 25 if unknown.
  public var readingRate: FrameRate {
    if !isRateVariable, let averageRate { return averageRate }
    guard let nominalRate else { return averageRate ?? FrameRate(25) }
    return nominalRate.framesPerSecond > 60 ? FrameRate(60) : nominalRate
  }
}

/// The color encoding of a video, in ffmpeg's names; nil if unspecified.
public struct VideoColor: Hashable, Sendable {
  /// `tv` for 16 to 235, `pc` for 0 to 255.
  public var range: String?
  /// The weights of red, green and blue in luma: `bt709`, `smpte170m`, `bt2020nc`.
  public var matrix: String?
  /// The primary colors: `bt709`, `bt2020`.
  public var primaries: String?
  /// The transfer function: `bt709`, `smpte2084`.
  public var transfer: String?

  /// Creates a description; omitted properties are unknown.
  public init(
    range: String? = nil, matrix: String? = nil, primaries: String? = nil, transfer: String? = nil
  ) {
    self.range = range
    self.matrix = matrix
    self.primaries = primaries
    self.transfer = transfer
  }

  /// High definition: BT.709 with limited range.
  public static let highDefinition = VideoColor(
    range: "tv", matrix: "bt709", primaries: "bt709", transfer: "bt709")

  /// Whether the transfer function exceeds a standard screen's range: HLG or PQ.
  public var isHighDynamicRange: Bool {
    transfer == "smpte2084" || transfer == "arib-std-b67"
  }

  /// The matrix that players assume for compressed video without one: BT.709 for large sizes.
  static func guessedMatrix(_ size: PixelSize) -> String {
    size.width >= 1280 || size.height > 576 ? "bt709" : "smpte170m"
  }

  /// This description with BT.709 and limited range for unknown values, and for matrices that RGB
  /// cannot be converted to.
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
