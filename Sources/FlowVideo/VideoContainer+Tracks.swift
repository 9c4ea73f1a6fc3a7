/// The tracks that a container can contain besides its frames.
extension VideoContainer {
  /// Text subtitles, which ffmpeg can convert into each other.
  private static let textSubtitles: Set<String> = [
    "subrip", "srt", "ass", "ssa", "webvtt", "mov_text", "text", "microdvd", "sami", "subviewer",
    "subviewer1", "realtext", "jacosub", "mpl2", "pjs", "stl", "vplayer",
  ]

  /// The audio codecs that can be copied, and the encoders for others, best first; nil if the
  /// container has no audio.
  private var audio: (codecs: Set<String>, encoders: [String])? {
    switch self {
    case .mp4: (["aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"], ["aac"])
    case .mov: (["aac", "mp3", "ac3", "eac3", "alac", "pcm_s16le", "pcm_s24le"], ["aac"])
    case .matroska:
      (
        [
          "aac", "mp3", "ac3", "eac3", "alac", "opus", "vorbis", "flac", "dts", "truehd",
          "pcm_s16le", "pcm_s24le", "pcm_f32le",
        ], ["libopus", "aac"]
      )
    case .webm: (["opus", "vorbis"], ["libopus", "libvorbis"])
    case .avi: (["mp3", "ac3", "pcm_s16le"], ["libmp3lame", "ac3"])
    case .gif, .apng, .pictures, .y4m, .raw: nil
    }
  }

  /// The subtitle codecs that can be copied, and the encoder for other text.
  private var subtitles: (codecs: Set<String>, encoders: [String])? {
    switch self {
    case .mp4, .mov: (["mov_text"], ["mov_text"])
    case .matroska:
      (
        ["subrip", "ass", "ssa", "webvtt", "dvd_subtitle", "hdmv_pgs_subtitle", "dvb_subtitle"],
        ["subrip", "srt"]
      )
    case .webm: (["webvtt"], ["webvtt"])
    case .avi, .gif, .apng, .pictures, .y4m, .raw: nil
    }
  }

  /// Whether the container supports chapters and metadata.
  var holdsChapters: Bool {
    switch self {
    case .mp4, .mov, .matroska, .webm: true
    case .avi, .gif, .apng, .pictures, .y4m, .raw: false
    }
  }

  /// Whether a track can be copied.
  func holds(_ track: ProbedTrack) -> Bool {
    switch track.kind {
    case .audio: audio?.codecs.contains(track.codec) == true
    case .subtitles: subtitles?.codecs.contains(track.codec) == true
    case .attachment: self == .matroska
    }
  }

  /// The encoders for a track that cannot be copied; nil if there are none.
  func encoders(for track: ProbedTrack) -> [String]? {
    switch track.kind {
    case .audio: audio?.encoders
    case .subtitles: Self.textSubtitles.contains(track.codec) ? subtitles?.encoders : nil
    case .attachment: nil
    }
  }

  /// The reason for omitting a track without an encoder.
  func reasonForOmitting(_ track: ProbedTrack) -> String {
    switch track.kind {
    case .audio: "\(name) does not support audio"
    case .subtitles where subtitles != nil: "\(name) supports only text subtitles"
    case .subtitles: "\(name) does not support subtitles"
    case .attachment: "\(name) does not support attachments"
    }
  }

  /// The container's usual name.
  private var name: String {
    switch self {
    case .mp4: "MP4"
    case .mov: "QuickTime"
    case .matroska: "Matroska"
    case .webm: "WebM"
    case .avi: "AVI"
    case .gif: "GIF"
    case .apng: "APNG"
    case .pictures: "a series of images"
    case .y4m: "y4m"
    case .raw: "raw video"
    }
  }
}
