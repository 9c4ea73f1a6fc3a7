/// The texts of an image file, including its generation settings.
///
/// PNG files store texts in `tEXt`, `zTXt` and `iTXt` chunks; JPEG files in the EXIF user comment,
/// the EXIF image description and comment segments.
public struct ImageMetadata: Sendable, Equatable {
  /// One text.
  public struct Text: Sendable, Equatable {
    /// A PNG keyword, `UserComment`, `ImageDescription` or `Comment`.
    public let keyword: String
    /// The text.
    public let text: String
  }

  /// All texts in file order.
  public let texts: [Text]

  /// Reads the texts of a PNG or JPEG file; pixels are not decoded.
  ///
  /// - Throws: `formatUnsupported` for other formats, `imageInvalid` for a damaged PNG file.
  public init(of bytes: [UInt8]) throws(MediaError) {
    switch try ImageFormat(ofFileStarting: bytes) {
    case .png:
      let chunks = try PNGChunks.texts(in: bytes).map { Text(keyword: $0.keyword, text: $0.text) }
      texts = chunks + Self.texts(inEXIF: PNGChunks.exif(in: bytes))
    case .jpeg:
      let segments = JPEGSegments(bytes)
      texts =
        Self.texts(inEXIF: segments.exif)
        + segments.comments.map { Text(keyword: "Comment", text: $0) }
    }
  }

  /// Reads the texts of the PNG or JPEG file at a path; pixels are not decoded.
  ///
  /// - Throws: `fileUnreadable`, or the errors of ``init(of:)`` with the path.
  public init(path: String) throws(MediaError) {
    let bytes = try ImageFile.bytes(at: path)
    do { try self.init(of: bytes) } catch { throw error.reading(path) }
  }

  /// The generation settings in AUTOMATIC1111's format: the PNG text `parameters`, else the EXIF
  /// user comment.
  public var parameters: String? {
    (texts.first { $0.keyword == "parameters" } ?? texts.first { $0.keyword == "UserComment" })?
      .text
  }

  private static func texts(inEXIF exif: ArraySlice<UInt8>?) -> [Text] {
    guard let exif else { return [] }
    let description = TIFFFile(exif)?.bytes(ofTag: .imageDescription)
      .flatMap { UserComment.trimmed(String(decoding: $0, as: UTF8.self)) }
    return [("UserComment", UserComment.text(inEXIF: exif)), ("ImageDescription", description)]
      .compactMap { keyword, text in text.map { Text(keyword: keyword, text: $0) } }
  }
}
