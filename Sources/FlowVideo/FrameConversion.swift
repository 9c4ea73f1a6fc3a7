internal import FlowCore
internal import FlowImage

/// The filters that convert a video's frames to displayable RGB.
struct FrameConversion: Sendable {
  var background: RGBColor
  /// The decoder that reads alpha, if ffmpeg's default decoder does not.
  var decoder: String?
  private var deinterlaces = false
  private var toneMaps = false
  /// Whether frames may be transparent.
  var hasAlpha = false
  /// The color matrix for a video that specifies none.
  private var guessedMatrix: String?

  /// Creates filters for frames of unknown properties.
  init(background: RGBColor) { self.background = background }

  /// - Parameters:
  ///   - information: the known properties of the video.
  ///   - background: the color under transparent pixels.
  ///   - toneMaps: whether to convert high dynamic range to BT.709.
  init(_ information: VideoInformation, background: RGBColor, toneMaps: Bool) {
    self.background = background
    self.toneMaps = toneMaps
    hasAlpha = information.hasAlpha
    decoder = information.alphaDecoder
    // The filter only changes frames that are marked as interlaced, and supports these formats. The
    // file's own field order is unreliable: Matroska always specifies progressive.
    deinterlaces = !hasAlpha && information.pixelFormat?.hasPrefix("yuv") == true
    if information.color.matrix == nil, information.codec != "rawvideo" {
      guessedMatrix = VideoColor.guessedMatrix(information.size)
    }
  }

  /// Converts fields to full frames; before frames are dropped, since it uses adjacent frames.
  var deinterlacing: [String] { deinterlaces ? ["bwdif=mode=send_frame:deint=interlaced"] : [] }

  /// RGB with square pixels.
  var color: [String] {
    let flags = "flags=bicubic+accurate_rnd+full_chroma_int"
    let matrix = guessedMatrix.map { ":in_color_matrix=\($0)" } ?? ""
    // Non-square pixels are stretched in one direction, so that no detail is lost.
    let (least, most) = (
      VideoInformation.pixelAspects.lowerBound, VideoInformation.pixelAspects.upperBound
    )
    let aspect = "clip(sar,\(least),\(most))"
    let size = "w='round(iw*max(\(aspect),1))':h='round(ih/min(\(aspect),1))'"
    var filters: [String] = []
    if toneMaps {
      // Linear light, where 1 is 100 cd/m2; the curve leaves values below a third of that
      // unchanged.
      filters += ["zscale=transfer=linear:npl=100", "format=gbrpf32le", "zscale=primaries=bt709"]
      filters += ["tonemap=mobius", "zscale=transfer=bt709:range=full", "format=gbrp"]
      filters.append("scale=\(size):\(flags)")
    } else {
      filters.append("scale=\(size):\(flags)\(matrix)")
    }
    filters.append("setsar=1")
    if hasAlpha { filters.append(flattening) }
    return filters + ["format=rgb24"]
  }

  private var flattening: String {
    let (red, green, blue) = (background.red, background.green, background.blue)
    return "format=rgba,split[alpha][under];"
      + "[under]format=rgb24,lutrgb=r=\(red):g=\(green):b=\(blue)[plain];"
      + "[plain][alpha]overlay=format=rgb"
  }
}
