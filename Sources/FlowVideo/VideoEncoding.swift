internal import FlowCore

/// The encoder of a container, its options and the filters before it.
struct VideoEncoding: Sendable {
  let encoder: String
  let size: PixelSize
  /// Whether frames have individual times.
  let isRateVariable: Bool
  private let container: VideoContainer
  private let color: VideoColor

  /// - Parameters:
  ///   - size: the size of the input frames.
  ///   - outputSize: the scaled size.
  init(
    encoder: String, container: VideoContainer, size frameSize: PixelSize,
    outputSize: PixelSize? = nil, isRateVariable: Bool = false, color: VideoColor
  ) {
    let size = outputSize ?? frameSize
    scaledSize = size == frameSize ? nil : size
    self.isRateVariable = isRateVariable
    self.encoder = encoder
    self.container = container
    self.color = color.writable
    // Chroma subsampling requires even sizes; one column or row is repeated.
    let isEven = Self.layout(encoder) == "yuv420p" && !["libvpx", "libvpx-vp9"].contains(encoder)
    self.size =
      isEven
      ? PixelSize(width: size.width + size.width % 2, height: size.height + size.height % 2) : size
    padding = PixelSize(width: self.size.width - size.width, height: self.size.height - size.height)
  }

  private let padding: PixelSize
  private let scaledSize: PixelSize?

  /// The pixel format that an encoder gets.
  private static func layout(_ encoder: String) -> String {
    switch encoder {
    case "png", "apng", "rawvideo", "libx264rgb": "rgb24"
    case "gif": "pal8"
    case "ffv1": "bgr0"
    case "wrapped_avframe": "yuv444p"
    default: "yuv420p"
    }
  }

  /// The arguments of ffmpeg between the inputs and the output's name.
  var arguments: [String] {
    var arguments = ["-vf", filters, "-c:v", encoder] + quality
    if isRateVariable {
      arguments += ["-fps_mode", "passthrough", "-enc_time_base", "1:90000"]
      // Reordered frames would hide the duration of the last frame.
      if encoder.contains("264") || encoder.contains("265") { arguments += ["-bf", "0"] }
    }
    if isLuma {
      arguments += ["-colorspace", matrix, "-color_range", range]
      arguments += ["-color_primaries", color.primaries ?? "bt709"]
      arguments += ["-color_trc", color.transfer ?? "bt709"]
    }
    return arguments + container.options + ["-f", container.muxer]
  }

  private var quality: [String] {
    switch encoder {
    case "libx264", "libx264rgb": ["-crf", "18", "-preset", "veryfast"]
    case "libx265":
      ["-crf", "20", "-preset", "veryfast"]
        + (container == .mp4 || container == .mov ? ["-tag:v", "hvc1"] : [])
    case "libvpx-vp9":
      ["-crf", "24", "-b:v", "0", "-deadline", "good", "-cpu-used", "5", "-row-mt", "1"]
    case "libvpx": ["-crf", "8", "-b:v", "20M", "-deadline", "good", "-cpu-used", "5"]
    case "libaom-av1": ["-crf", "24", "-b:v", "0", "-cpu-used", "6", "-row-mt", "1"]
    case "libsvtav1": ["-crf", "24", "-preset", "8"]
    case "mpeg4": ["-q:v", "2"]
    default: []
    }
  }

  private var isLuma: Bool { Self.layout(encoder).hasPrefix("yuv") }

  /// The color matrix in the file, or the one that players assume if the container cannot specify
  /// it.
  private var matrix: String {
    switch container {
    // ffmpeg, the main reader of this format, assumes BT.601 for any size.
    case .y4m: "smpte170m"
    case .avi: VideoColor.guessedMatrix(size)
    case .mp4, .mov, .matroska, .webm, .gif, .apng, .pictures, .raw: color.matrix ?? "bt709"
    }
  }

  private var range: String { container == .avi ? "tv" : color.range ?? "tv" }

  private var filters: String {
    var filters: [String] = []
    if let scaledSize {
      let (width, height) = (scaledSize.width, scaledSize.height)
      filters.append(
        "scale=\(width):\(height):force_original_aspect_ratio=increase:flags=lanczos")
      filters += ["crop=\(width):\(height)", "setsar=1"]
    }
    if padding.width + padding.height > 0 {
      filters += ["format=gbrp", "pad=\(size.width):\(size.height)"]
      filters.append("fillborders=right=\(padding.width):bottom=\(padding.height):mode=smear")
    }
    if isLuma {
      let scaling = matrix == "bt2020nc" ? "bt2020" : matrix
      filters.append(
        "scale=out_color_matrix=\(scaling):out_range=\(range)"
          + ":flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp")
      filters.append("format=\(Self.layout(encoder))")
      filters.append(
        "setparams=colorspace=\(matrix):range=\(range):color_primaries="
          + "\(color.primaries ?? "bt709"):color_trc=\(color.transfer ?? "bt709")")
    } else if encoder == "gif" {
      // One palette per frame: a common palette would require all frames in memory.
      filters.append("split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1")
    } else {
      filters.append("format=\(Self.layout(encoder))")
    }
    return filters.joined(separator: ",")
  }
}
