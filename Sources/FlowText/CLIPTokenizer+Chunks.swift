extension CLIPTokenizer {
  /// The most chunks of a prompt: 600 tokens where a chunk has 75.
  public static let chunkLimit = 8

  /// Encodes a weighted prompt into chunks of exactly `length` tokens: the start, the words, the
  /// end, padding.
  ///
  /// Stretches of different weight are encoded each by itself. A chunk that is full before the
  /// prompt is at its end is cut after its last comma if that is among its last 20 tokens, so that
  /// what belongs together stays so, as the web UI does (`comma_padding_backtrack`). `BREAK` ends
  /// a chunk where it stands, unless there is but one.
  ///
  /// - Precondition: there is room for the start and the end, and for a chunk.
  public func encode(
    _ prompt: WeightedPrompt, length: Int, chunkLimit: Int = Self.chunkLimit
  ) -> ChunkedPrompt {
    precondition(length >= 2, "the start and the end of a chunk take two tokens, got \(length)")
    precondition(chunkLimit > 0, "a prompt takes a chunk, got \(chunkLimit)")
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
