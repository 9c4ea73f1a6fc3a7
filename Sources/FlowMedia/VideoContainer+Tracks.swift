/// The tracks that a container holds beside its frames.
extension VideoContainer {
  /// Subtitles that are text, which ffmpeg turns into each other.
  private static let textSubtitles: Set<String> = [
    "subrip", "srt", "ass", "ssa", "webvtt", "mov_text", "text", "microdvd", "sami", "subviewer",
    "subviewer1", "realtext", "jacosub", "mpl2", "pjs", "stl", "vplayer",
  ]

  /// The audio codecs that are taken as they are, and the encoders for others, the best first; nil
  /// where there is no room for sound.
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

  /// The subtitle codecs that are taken as they are, and the encoder for other text.
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

  /// Whether chapters and metadata have a place.
  var holdsChapters: Bool {
    switch self {
    case .mp4, .mov, .matroska, .webm: true
    case .avi, .gif, .apng, .pictures, .y4m, .raw: false
    }
  }

  /// Whether a track is taken as it is.
  func holds(_ track: ProbedTrack) -> Bool {
    switch track.kind {
    case .audio: audio?.codecs.contains(track.codec) == true
    case .subtitles: subtitles?.codecs.contains(track.codec) == true
    case .attachment: self == .matroska
    }
  }

  /// The encoders for a track that is not taken as it is; nil where none would do.
  func encoders(for track: ProbedTrack) -> [String]? {
    switch track.kind {
    case .audio: audio?.encoders
    case .subtitles: Self.textSubtitles.contains(track.codec) ? subtitles?.encoders : nil
    case .attachment: nil
    }
  }

  /// Why a track without an encoder is omitted.
  func reasonForOmitting(_ track: ProbedTrack) -> String {
    switch track.kind {
    case .audio: "\(name) holds no sound"
    case .subtitles where subtitles != nil: "\(name) holds subtitles as text only"
    case .subtitles: "\(name) holds no subtitles"
    case .attachment: "\(name) holds no attached files"
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
