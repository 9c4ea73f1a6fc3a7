extension CLIPTokenizer {
  /// Maximum number of chunks of a prompt: 600 tokens at 75 tokens per chunk.
  public static let chunkLimit = 8

  /// Encodes a weighted prompt into chunks of exactly `length` tokens: BOS, the text, EOS, padding.
  ///
  /// Spans of different weight are encoded separately. If a chunk is full before the prompt ends,
  /// it ends after its last comma if that is among its last 20 tokens, so that phrases stay
  /// together, as in the web UI (`comma_padding_backtrack`). `BREAK` ends a chunk, unless only one
  /// chunk is allowed.
  ///
  /// - Precondition: `length` has room for BOS and EOS, and the limit allows one chunk.
  public func encode(
    _ prompt: WeightedPrompt, length: Int, chunkLimit: Int = Self.chunkLimit
  ) -> ChunkedPrompt {
    precondition(length >= 2, "BOS and EOS of a chunk take two tokens, got \(length)")
    precondition(chunkLimit > 0, "the chunk limit must be positive, got \(chunkLimit)")
    var filler = ChunkFiller(room: length - 2, limit: chunkLimit, comma: comma)
    var cut: [String] = []
    var isCut = false
    for (index, section) in prompt.sections.enumerated() {
      if index > 0, chunkLimit > 1, !isCut { isCut = !filler.endSection() }
      for stretch in section {
        for word in words(of: stretch.text) {
          for token in tokens(of: word) where !isCut {
            isCut = !filler.append(token, weight: stretch.weight)
          }
          if isCut { cut.append(word.text) }
        }
      }
    }
    return ChunkedPrompt(
      chunks: filler.finish().map { chunk($0, length: length) },
      cut: cut.isEmpty ? nil : cut.joined(separator: " "))
  }

  private func chunk(_ content: ChunkFiller.Content, length: Int) -> ChunkedPrompt.Chunk {
    let tokens = [start] + content.map(\.token) + [end]
    let rest = length - tokens.count
    return ChunkedPrompt.Chunk(
      tokens: tokens + [Int](repeating: padding, count: rest),
      endIndex: tokens.firstIndex(of: end) ?? tokens.count - 1,
      weights: [1] + content.map(\.weight) + [Float](repeating: 1, count: rest + 1))
  }
}
