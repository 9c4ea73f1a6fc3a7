/// The tracks of a source that accompany the frames made from it: sound, subtitles, fonts, and the
/// file's chapters and metadata.
public struct VideoTracks: Hashable, Sendable {
  /// What a track holds.
  public enum Kind: String, Hashable, Sendable, CaseIterable {
    /// Sound.
    case audio
    /// Subtitles, as text or as images.
    case subtitles
    /// Attached files, such as the fonts of subtitles.
    case attachment
  }

  /// The file or address that has the tracks.
  public var path: String
  /// Where the part that is carried over begins.
  public var start: Duration
  /// How long that part is; nil for all of it.
  public var duration: Duration?
  /// The kinds of track that are carried over.
  public var kinds: Set<Kind>

  /// Carries over the tracks of a file.
  ///
  /// - Parameters:
  ///   - path: the file or address.
  ///   - start: where the part that is carried over begins.
  ///   - duration: how long that part is; nil for all of it.
  ///   - kinds: the kinds of track.
  public init(
    from path: String, start: Duration = .zero, duration: Duration? = nil,
    kinds: Set<Kind> = Set(Kind.allCases)
  ) {
    self.path = path
    self.start = start
    self.duration = duration
    self.kinds = kinds
  }

  /// What became of a track.
  public struct Outcome: Hashable, Sendable {
    /// What the track holds.
    public var kind: Kind
    /// ffmpeg's name of the codec, or the file name of an attachment.
    public var codec: String
    /// How the track was carried over.
    public var fate: Fate

    /// Creates an outcome.
    public init(_ kind: Kind, codec: String, _ fate: Fate) {
      self.kind = kind
      self.codec = codec
      self.fate = fate
    }
  }

  /// How a track was carried over.
  public enum Fate: Hashable, Sendable {
    /// Unchanged.
    case copied
    /// Encoded again, because the container does not hold the codec.
    case transcoded(encoder: String)
    /// Not at all.
    case omitted(reason: String)
  }
}

extension VideoTracks.Outcome {
  var isCarried: Bool {
    switch fate {
    case .copied, .transcoded: true
    case .omitted: false
    }
  }
}
