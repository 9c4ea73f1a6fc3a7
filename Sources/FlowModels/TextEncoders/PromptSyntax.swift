internal import FlowText

/// The syntax of prompts.
public enum PromptSyntax: String, CaseIterable, Sendable {
  /// `(more)`, `[less]` and `(just so:1.2)` set weights, `BREAK` starts a chunk, and long prompts
  /// continue in further chunks, as in AUTOMATIC1111's web UI.
  case weighted
  /// Every character is text, and the text is truncated to one chunk, as in diffusers.
  case plain

  /// The chunks of a prompt for a text encoder.
  ///
  /// - Parameters:
  ///   - prompt: the prompt.
  ///   - tokenizer: the encoder's tokenizer.
  ///   - tokenCount: the number of tokens per chunk.
  ///   - chunkLimit: the maximum number of chunks; longer prompts are truncated.
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
