internal import FlowText

/// How a prompt is read.
public enum PromptSyntax: String, CaseIterable, Sendable {
  /// `(more)`, `[less]` and `(just so:1.2)` weigh words, `BREAK` begins a chunk, and long prompts
  /// go on in further chunks, as AUTOMATIC1111's web UI reads them.
  case weighted
  /// Every character is text, and what one chunk has no room for is cut, as diffusers does.
  case plain

  /// The chunks that a text encoder of so many tokens reads.
  func chunks(
    of prompt: String, tokenizer: CLIPTokenizer, tokenCount: Int
  ) -> ChunkedPrompt {
    switch self {
    case .weighted: tokenizer.encode(WeightedPrompt(parsing: prompt), length: tokenCount)
    case .plain: ChunkedPrompt(tokenizer.encode(prompt, length: tokenCount))
    }
  }
}
