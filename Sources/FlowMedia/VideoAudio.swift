/// Sound that goes along with frames: that of a file, from a time on.
public struct VideoAudio: Hashable, Sendable {
  /// The file or address that has it.
  public var path: String
  /// Where the sound begins.
  public var start: Duration
  /// How long it goes on; to its end unless told.
  public var duration: Duration?

  /// Takes the sound of a file, from its beginning to its end unless told otherwise.
  public init(from path: String, start: Duration = .zero, duration: Duration? = nil) {
    self.path = path
    self.start = start
    self.duration = duration
  }

  /// What became of a stream of sound.
  public enum Outcome: Hashable, Sendable {
    /// It is as it was.
    case copied(codec: String)
    /// The container does not take its codec, so it was encoded anew.
    case transcoded(codec: String, encoder: String)
    /// The container has no room for sound.
    case leftOut(codec: String)
  }
}

/// What is done with the sound of a file for a container.
struct AudioPlan {
  let inputArguments: [String]
  let outputArguments: [String]
  let outcomes: [VideoAudio.Outcome]

  /// No sound.
  static let silence = AudioPlan(
    inputArguments: [], outputArguments: ["-map", "0:v"], outcomes: [])

  private init(
    inputArguments: [String], outputArguments: [String], outcomes: [VideoAudio.Outcome]
  ) {
    self.inputArguments = inputArguments
    self.outputArguments = outputArguments
    self.outcomes = outcomes
  }

  init(_ audio: VideoAudio?, container: VideoContainer, ffmpeg: FFmpeg) async throws {
    guard let audio else {
      self = .silence
      return
    }
    let codecs = try await VideoProbe(ffmpeg: ffmpeg).audioCodecs(of: .file(audio.path))
    guard !codecs.isEmpty, let taken = container.audio else {
      self.init(
        inputArguments: [], outputArguments: Self.silence.outputArguments,
        outcomes: codecs.map { .leftOut(codec: $0) })
      return
    }
    let isAnyAnew = codecs.contains { !taken.codecs.contains($0) }
    let built = isAnyAnew ? try await ffmpeg.encoders(ofKind: "A") : []
    let encoder = taken.encoders.first(where: built.contains)
    var output = ["-map", "0:v", "-map", "1:a"]
    var outcomes: [VideoAudio.Outcome] = []
    for (index, codec) in codecs.enumerated() {
      if taken.codecs.contains(codec) {
        output += ["-c:a:\(index)", "copy"]
        outcomes.append(.copied(codec: codec))
      } else if let encoder {
        output += ["-c:a:\(index)", encoder]
        outcomes.append(.transcoded(codec: codec, encoder: encoder))
      } else {
        throw MediaError(
          code: .encoderMissing,
          message: """
            the sound of '\(audio.path)' is \(codec), which must be encoded for this file, and \
            ffmpeg has none of \(taken.encoders.joined(separator: ", "))
            """)
      }
    }
    var input: [String] = []
    if audio.start > .zero { input += ["-ss", audio.start.decimalSeconds] }
    if let duration = audio.duration { input += ["-t", duration.decimalSeconds] }
    self.init(
      inputArguments: input + ["-i", VideoInput.address(of: audio.path)],
      outputArguments: output, outcomes: outcomes)
  }
}
