/// The tracks of a source that accompany its frames: audio, subtitles, fonts, and the file's
/// chapters and metadata.
public struct VideoTracks: Hashable, Sendable {
  /// The kind of a track.
  public enum Kind: String, Hashable, Sendable, CaseIterable {
    /// Audio.
    case audio
    /// Subtitles, as text or as images.
    case subtitles
    /// Attached files, such as the fonts of subtitles.
    case attachment
  }

  /// The file or address that contains the tracks.
  public var path: String
  /// The start of the transferred part.
  public var start: Duration
  /// The duration of that part; nil for all of it.
  public var duration: Duration?
  /// The kinds of tracks to transfer.
  public var kinds: Set<Kind>

  /// Selects tracks of a file for transfer.
  ///
  /// - Parameters:
  ///   - path: the file or address.
  ///   - start: the start of the transferred part.
  ///   - duration: the duration of that part; nil for all of it.
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

  /// The result for a track.
  public struct Outcome: Hashable, Sendable {
    /// The kind of the track.
    public var kind: Kind
    /// ffmpeg's name of the codec, or the file name of an attachment.
    public var codec: String
    /// How the track was transferred.
    public var fate: Fate

    /// Creates an outcome.
    public init(_ kind: Kind, codec: String, _ fate: Fate) {
      self.kind = kind
      self.codec = codec
      self.fate = fate
    }
  }

  /// How a track was transferred.
  public enum Fate: Hashable, Sendable {
    /// Unchanged.
    case copied
    /// Re-encoded, because the container does not support the codec.
    case transcoded(encoder: String)
    /// Omitted.
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
