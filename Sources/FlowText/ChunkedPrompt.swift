/// A prompt in as many chunks as it takes, each of which a text encoder reads by itself.
public struct ChunkedPrompt: Equatable, Sendable {
  /// What a text encoder reads at once.
  public struct Chunk: Equatable, Sendable {
    /// The tokens with their marks of start and end, padded.
    public let tokens: [Int]
    /// Where the mark of the end stands, from which a pooled output is taken.
    public let endIndex: Int
    /// The factor of each token; marks and padding have 1.
    public let weights: [Float]

    /// Whether no weight changes anything.
    public var isUnweighted: Bool { weights.allSatisfy { $0 == 1 } }
  }

  /// The chunks in order, at least one.
  public let chunks: [Chunk]
  /// The end of the prompt that did not fit, if any: what the picture will know nothing of.
  public let cut: String?

  init(chunks: [Chunk], cut: String?) {
    self.chunks = chunks
    self.cut = cut
  }

  /// Takes a prompt of one chunk, in which all words weigh the same.
  public init(_ prompt: TokenizedPrompt) {
    let weights = [Float](repeating: 1, count: prompt.tokens.count)
    chunks = [Chunk(tokens: prompt.tokens, endIndex: prompt.endIndex, weights: weights)]
    cut = prompt.cut
  }
}

/// Fills chunks token by token.
struct ChunkFiller {
  /// How far before the end of a full chunk a comma ends it in its stead: the default of the web
  /// UI's `comma_padding_backtrack`.
  static let commaReach = 20

  /// The words' tokens in a chunk and their weights.
  typealias Content = [(token: Int, weight: Float)]

  /// The tokens of a chunk without its marks.
  let room: Int
  let limit: Int
  /// The token of a comma by itself, where the vocabulary has one.
  let comma: Int?

  private(set) var full: [Content] = []
  private var content: Content = []
  private var lastComma: Int?

  init(room: Int, limit: Int, comma: Int?) {
    self.room = room
    self.limit = limit
    self.comma = comma
  }

  /// Puts a token at the end; false where there is no room for it in the last chunk.
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

  /// Ends the chunk even if it is empty; false where it is the last one.
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
