extension VideoReader {
  /// The arguments of ffmpeg.
  ///
  /// Frames are output as PPM images, which contain their size.
  func arguments(
    input: VideoInput, rate: FrameRate?, conversion: FrameConversion
  ) -> [String] {
    // ffmpeg logs frame times and the rate of sources that were not probed at level info, and the
    // number of bytes read at level verbose.
    let needed =
      endsAreSilent ? FFmpegLogging.Level.verbose : rate == nil || isTimed ? .info : .error
    let levels = FFmpegLogging.Level.allCases
    let level = levels.last { $0 == needed || $0 == logging?.level } ?? needed
    var arguments = ["-hide_banner", "-nostdin", "-nostats", "-loglevel", "repeat+level+\(level)"]
    if isSeekable {
      if selection.start > .zero { arguments += ["-ss", selection.start.decimalSeconds] }
      if let duration = selection.duration { arguments += ["-t", duration.decimalSeconds] }
    }
    if let decoder = conversion.decoder { arguments += ["-c:v", decoder] }
    arguments += input.arguments + ["-map", "0:V:0", "-an", "-sn", "-dn"]
    arguments += ["-vf", filters(rate: rate, conversion: conversion).joined(separator: ",")]
    // Outputs every frame exactly once.
    arguments += ["-fps_mode", "passthrough"]
    return arguments + ["-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "pipe:1"]
  }

  /// Whether ffmpeg does not report a truncated last frame of a source that it reads to the end.
  var endsAreSilent: Bool {
    guard selection.start == .zero, selection.duration == nil else { return false }
    switch source {
    case .standardInput(.y4m): return true
    case .standardInput(.detected(let beginning)):
      return beginning.starts(with: Array("YUV4MPEG2".utf8))
    case .file(let path): return path.lowercased().hasSuffix(".y4m")
    case .pictures, .camera, .screen, .standardInput, .generated: return false
    }
  }

  /// Whether ffmpeg can seek to the start.
  private var isSeekable: Bool {
    switch source {
    case .file: true
    case .pictures, .camera, .screen, .standardInput, .generated: false
    }
  }

  /// Whether only ffmpeg knows the frame times.
  var isTimed: Bool {
    guard selection.rate == nil else { return false }
    switch source {
    case .file, .generated, .standardInput(.detected), .standardInput(.y4m): return true
    case .pictures, .camera, .screen, .standardInput(.rgb): return false
    }
  }

  private func filters(rate: FrameRate?, conversion: FrameConversion) -> [String] {
    var filters: [String] = []
    // Images have no times except their indices.
    if case .pictures(_, let rate) = source {
      filters += ["settb=\(rate.denominator)/\(rate.numerator)", "setpts=N"]
    }
    if !isSeekable, selection.start > .zero || selection.duration != nil {
      let duration = selection.duration.map { ":duration=\($0.decimalSeconds)" } ?? ""
      filters += ["trim=start=\(selection.start.decimalSeconds)\(duration)", "setpts=PTS-STARTPTS"]
    }
    filters += conversion.deinterlacing
    if let rate = selection.rate {
      // With start time 0, a video that starts after its audio is padded with its first frame.
      filters.append("fps=\(rate)\(source.isLive ? "" : ":start_time=0")")
    } else if source.isLive, let rate {
      filters.append("fps=\(rate)")
    }
    if selection.every > 1 { filters.append("framestep=\(selection.every)") }
    filters += conversion.color
    // Side data would fill the log.
    if isTimed { filters += ["sidedata=mode=delete", "showinfo=checksum=0"] }
    return filters
  }
}
