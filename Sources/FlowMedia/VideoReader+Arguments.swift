extension VideoReader {
  /// What ffmpeg is told: frames leave it as PPM pictures, which carry their size.
  func arguments(
    input: VideoInput, rate: FrameRate?, information: VideoInformation?
  ) -> [String] {
    // Only at the level of information does ffmpeg tell the rate of what was not asked before, and
    // at the next one how much it read.
    let needed =
      endsAreSilent ? FFmpegLogging.Level.verbose : rate == nil ? .info : .error
    let levels = FFmpegLogging.Level.allCases
    let level = levels.last { $0 == needed || $0 == logging?.level } ?? needed
    var arguments = ["-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+\(level)"]
    if isSeekable {
      if selection.start > .zero { arguments += ["-ss", selection.start.decimalSeconds] }
      if let duration = selection.duration { arguments += ["-t", duration.decimalSeconds] }
    }
    arguments += input.arguments + ["-map", "0:V:0", "-an", "-sn", "-dn"]
    arguments += ["-vf", filters(rate: rate, information: information).joined(separator: ",")]
    // The filters have made the rate constant, or it is as it comes: nothing more to do.
    arguments += ["-fps_mode", "passthrough"]
    return arguments + ["-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "pipe:1"]
  }

  /// Whether ffmpeg says nothing of a source that ends in the middle of a frame, which it reads to
  /// the end.
  var endsAreSilent: Bool {
    guard selection.start == .zero, selection.duration == nil else { return false }
    switch source {
    case .standardInput(.y4m): return true
    case .file(let path): return path.lowercased().hasSuffix(".y4m")
    case .pictures, .camera, .screen, .standardInput, .generated: return false
    }
  }

  /// Whether ffmpeg can jump to the start.
  private var isSeekable: Bool {
    switch source {
    case .file: true
    case .pictures, .camera, .screen, .standardInput, .generated: false
    }
  }

  private func filters(rate: FrameRate?, information: VideoInformation?) -> [String] {
    var filters: [String] = []
    // Pictures have no times but their numbers.
    var isGiven = false
    if case .pictures(_, let rate) = source {
      filters += ["settb=\(rate.denominator)/\(rate.numerator)", "setpts=N"]
      isGiven = selection.rate == nil
    }
    if !isSeekable, selection.start > .zero || selection.duration != nil {
      let duration = selection.duration.map { ":duration=\($0.decimalSeconds)" } ?? ""
      filters += ["trim=start=\(selection.start.decimalSeconds)\(duration)", "setpts=PTS-STARTPTS"]
    }
    // Begun at 0, a video that begins after its sound is filled up with its first frame.
    if let rate, !isGiven { filters.append("fps=\(rate)\(source.isLive ? "" : ":start_time=0")") }
    if selection.every > 1 { filters.append("framestep=\(selection.every)") }
    var matrix = ""
    if let information, information.color.matrix == nil, information.codec != "rawvideo" {
      matrix = ":in_color_matrix=\(VideoColor.guessedMatrix(information.size))"
    }
    return filters + ["scale=flags=bicubic+accurate_rnd+full_chroma_int\(matrix)", "format=rgb24"]
  }
}
