/// How the tracks of a source are transferred to a container.
struct TrackPlan {
  /// The second input of ffmpeg, which contains the tracks; empty if there is none.
  let inputArguments: [String]
  /// The written streams and their encoding.
  let outputArguments: [String]
  let outcomes: [VideoTracks.Outcome]

  /// Video alone.
  static let none = TrackPlan(
    inputArguments: [], outputArguments: ["-map", "0:v"], outcomes: [])

  private init(
    inputArguments: [String], outputArguments: [String], outcomes: [VideoTracks.Outcome]
  ) {
    self.inputArguments = inputArguments
    self.outputArguments = outputArguments
    self.outcomes = outcomes
  }

  /// Probes a source, and plans by the abilities of the container and this ffmpeg.
  init(_ tracks: VideoTracks?, container: VideoContainer, ffmpeg: FFmpeg) async throws {
    guard let tracks else {
      self = .none
      return
    }
    let found = try await VideoProbe(ffmpeg: ffmpeg).tracks(of: .file(tracks.path))
      .filter { tracks.kinds.contains($0.kind) }
    // ffmpeg is queried only if a track must be re-encoded.
    let needsCodecs = found.contains { !container.holds($0) && container.encoders(for: $0) != nil }
    let codecs = needsCodecs ? try await FFmpegCodecs(ffmpeg) : FFmpegCodecs()
    self.init(tracks, found: found, container: container, codecs: codecs)
  }

  /// Plans for known tracks.
  init(
    _ tracks: VideoTracks, found: [ProbedTrack], container: VideoContainer, codecs: FFmpegCodecs
  ) {
    var output = ["-map", "0:v"]
    var outcomes: [VideoTracks.Outcome] = []
    var counts: [VideoTracks.Kind: Int] = [:]
    for track in found {
      let fate = Self.fate(of: track, in: container, codecs: codecs)
      outcomes.append(VideoTracks.Outcome(track.kind, codec: track.codec, fate))
      let encoder: String
      switch fate {
      case .omitted: continue
      case .copied: encoder = "copy"
      case .transcoded(let name): encoder = name
      }
      let index = counts[track.kind, default: 0]
      counts[track.kind] = index + 1
      output += ["-map", "1:\(track.index)", "-c:\(track.kind.specifier):\(index)", encoder]
    }
    if container.holdsChapters { output += ["-map_metadata", "1", "-map_chapters", "1"] }
    guard !counts.isEmpty || container.holdsChapters else {
      self.init(inputArguments: [], outputArguments: Self.none.outputArguments, outcomes: outcomes)
      return
    }
    var input: [String] = []
    if tracks.start > .zero { input += ["-ss", tracks.start.decimalSeconds] }
    if let duration = tracks.duration { input += ["-t", duration.decimalSeconds] }
    self.init(
      inputArguments: input + ["-i", VideoInput.address(of: tracks.path)],
      outputArguments: output, outcomes: outcomes)
  }

  private static func fate(
    of track: ProbedTrack, in container: VideoContainer, codecs: FFmpegCodecs
  ) -> VideoTracks.Fate {
    guard track.isComplete else {
      return .omitted(
        reason: track.kind == .attachment
          ? "it has no name and type" : "its format is not known to this ffmpeg")
    }
    if container.holds(track) { return .copied }
    guard let encoders = container.encoders(for: track) else {
      return .omitted(reason: container.reasonForOmitting(track))
    }
    guard codecs.decodable.contains(track.codec) else {
      return .omitted(reason: "this ffmpeg cannot decode it")
    }
    guard let encoder = encoders.first(where: codecs.encoders.contains) else {
      return .omitted(reason: "this ffmpeg has no encoder \(encoders.joined(separator: " or "))")
    }
    return .transcoded(encoder: encoder)
  }
}

extension VideoTracks.Kind {
  /// ffmpeg's stream specifier.
  var specifier: String {
    switch self {
    case .audio: "a"
    case .subtitles: "s"
    case .attachment: "t"
    }
  }
}

/// The codecs that this ffmpeg decodes, and the names of its encoders.
struct FFmpegCodecs {
  var decodable: Set<String> = []
  var encoders: Set<String> = []

  init(decodable: Set<String> = [], encoders: Set<String> = []) {
    self.decodable = decodable
    self.encoders = encoders
  }

  init(_ ffmpeg: FFmpeg) async throws {
    let output = try await ffmpeg.output(of: ffmpeg.path, arguments: ["-hide_banner", "-codecs"])
    for line in output.split(separator: "\n") {
      // ` DEAIL. aac   AAC (Advanced Audio Coding)`: decoding, encoding, kind, ...
      let words = line.split(separator: " ")
      guard words.count > 1, words[0].count == 6, words[0].first == "D" else { continue }
      decodable.insert(String(words[1]))
    }
    encoders = Set(try await ffmpeg.encoders(ofKind: "A") + ffmpeg.encoders(ofKind: "S"))
  }
}
