internal import FlowCore

/// The filters that turn a video's frames into RGB as a screen shows them.
struct FrameConversion: Sendable {
  var background: RGBColor
  /// The decoder that reads alpha, where ffmpeg's usual one does not.
  var decoder: String?
  private var deinterlaces = false
  private var toneMaps = false
  /// Whether frames may be transparent.
  var hasAlpha = false
  /// The matrix of a video that names none.
  private var guessedMatrix: String?

  /// For frames of which nothing is known.
  init(background: RGBColor) { self.background = background }

  /// - Parameters:
  ///   - information: what is known of the video.
  ///   - background: the color under transparent pixels.
  ///   - toneMaps: whether high dynamic range is to become BT.709.
  init(_ information: VideoInformation, background: RGBColor, toneMaps: Bool) {
    self.background = background
    self.toneMaps = toneMaps
    hasAlpha = information.hasAlpha
    decoder = information.alphaDecoder
    // The filter touches only frames that are marked as interlaced, and knows these formats. What a
    // file says of its fields as a whole is not to be relied on: Matroska says progressive of any.
    deinterlaces = !hasAlpha && information.pixelFormat?.hasPrefix("yuv") == true
    if information.color.matrix == nil, information.codec != "rawvideo" {
      guessedMatrix = VideoColor.guessedMatrix(information.size)
    }
  }

  /// Whole frames of fields; before frames are left out, since it looks at those beside each.
  var deinterlacing: [String] { deinterlaces ? ["bwdif=mode=send_frame:deint=interlaced"] : [] }

  /// RGB with square pixels.
  var color: [String] {
    let flags = "flags=bicubic+accurate_rnd+full_chroma_int"
    let matrix = guessedMatrix.map { ":in_color_matrix=\($0)" } ?? ""
    // Squeezed pixels are widened or heightened, so that nothing is lost.
    let (least, most) = (
      VideoInformation.pixelAspects.lowerBound, VideoInformation.pixelAspects.upperBound
    )
    let aspect = "clip(sar,\(least),\(most))"
    let size = "w='round(iw*max(\(aspect),1))':h='round(ih/min(\(aspect),1))'"
    var filters: [String] = []
    if toneMaps {
      // Linear light, 1 for 100 cd/m2; the curve keeps what is darker than a third of that.
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
