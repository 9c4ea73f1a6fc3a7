/// A prompt split into chunks.
///
/// A text encoder reads each chunk separately.
public struct ChunkedPrompt: Equatable, Sendable {
  /// The tokens of one pass of a text encoder.
  public struct Chunk: Equatable, Sendable {
    /// Token ids including BOS and EOS, padded.
    public let tokens: [Int]
    /// Position of the EOS token, at which a pooled output is taken.
    public let endIndex: Int
    /// Weight of each token; BOS, EOS and padding have 1.
    public let weights: [Float]

    /// Whether all weights are 1.
    public var isUnweighted: Bool { weights.allSatisfy { $0 == 1 } }
  }

  /// The chunks in order, at least one.
  public let chunks: [Chunk]
  /// The truncated end of the prompt, if any.
  ///
  /// It has no effect on the image.
  public let cut: String?

  init(chunks: [Chunk], cut: String?) {
    self.chunks = chunks
    self.cut = cut
  }

  /// Creates a prompt of one chunk in which all tokens have weight 1.
  public init(_ prompt: TokenizedPrompt) {
    let weights = [Float](repeating: 1, count: prompt.tokens.count)
    chunks = [Chunk(tokens: prompt.tokens, endIndex: prompt.endIndex, weights: weights)]
    cut = prompt.cut
  }
}

/// Fills chunks token by token.
struct ChunkFiller {
  /// Maximum distance of a comma from the end of a full chunk at which the chunk is split: the
  /// default of the web UI's `comma_padding_backtrack`.
  static let commaReach = 20

  /// The tokens of a chunk and their weights.
  typealias Content = [(token: Int, weight: Float)]

  /// Number of tokens of a chunk without BOS and EOS.
  let room: Int
  let limit: Int
  /// The token of a lone comma, if the vocabulary has one.
  let comma: Int?

  private(set) var full: [Content] = []
  private var content: Content = []
  private var lastComma: Int?

  init(room: Int, limit: Int, comma: Int?) {
    self.room = room
    self.limit = limit
    self.comma = comma
  }

  /// Appends a token; returns false if the last chunk has no room for it.
  mutating func append(_ token: Int, weight: Float) -> Bool {
    if content.count == room {
      guard room > 0, full.count + 1 < limit else { return false }
      var carried: Content = []
      if token != comma, let lastComma, content.count - lastComma <= Self.commaReach {
        carried = Array(content[(lastComma + 1)...])
        content.removeSubrange((lastComma + 1)...)
      }
      endChunk()
      content = carried
    } else if token == comma {
      lastComma = content.count
    }
    content.append((token, weight))
    return true
  }

  /// Ends the chunk, even an empty one; returns false if it is the last.
  mutating func endSection() -> Bool {
    guard full.count + 1 < limit else { return false }
    endChunk()
    return true
  }

  /// All chunks, at least one.
  mutating func finish() -> [Content] {
    if !content.isEmpty || full.isEmpty { endChunk() }
    return full
  }

  private mutating func endChunk() {
    full.append(content)
    content = []
    lastComma = nil
  }
}
