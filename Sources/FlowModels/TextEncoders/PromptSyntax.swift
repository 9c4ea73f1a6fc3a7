internal import FlowText

/// How a prompt is read.
public enum PromptSyntax: String, CaseIterable, Sendable {
  /// `(more)`, `[less]` and `(just so:1.2)` weigh words, `BREAK` begins a chunk, and long prompts
  /// go on in further chunks, as AUTOMATIC1111's web UI reads them.
  case weighted
  /// Every character is text, and what one chunk has no room for is cut, as diffusers does.
  case plain

  /// The chunks that a text encoder of so many tokens reads.
  ///
  /// - Parameters:
  ///   - prompt: the prompt.
  ///   - tokenizer: the encoder's.
  ///   - tokenCount: the tokens of a chunk.
  ///   - chunkLimit: the most chunks; what they have no room for is truncated.
  func chunks(
    of prompt: String, tokenizer: CLIPTokenizer, tokenCount: Int,
    chunkLimit: Int = CLIPTokenizer.chunkLimit
  ) -> ChunkedPrompt {
    switch self {
    case .weighted:
      tokenizer.encode(
        WeightedPrompt(parsing: prompt), length: tokenCount, chunkLimit: chunkLimit)
    case .plain: ChunkedPrompt(tokenizer.encode(prompt, length: tokenCount))
    }
  }
}
