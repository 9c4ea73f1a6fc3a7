/// Converts a prompt into the token ids that a text encoder reads.
public protocol Tokenizer: Sendable {
  /// Encodes a prompt into exactly `length` tokens.
  func encode(_ prompt: String, length: Int) -> TokenizedPrompt
}

/// A prompt as tokens.
public struct TokenizedPrompt: Equatable, Sendable {
  /// Token ids including BOS and EOS, padded to the requested length.
  public let tokens: [Int]
  /// Position of the EOS token, at which a pooled output is taken.
  public let endIndex: Int
  /// The truncated end of the prompt, if any.
  ///
  /// It has no effect on the image.
  public let cut: String?

  /// Creates a tokenized prompt.
  public init(tokens: [Int], endIndex: Int, cut: String? = nil) {
    self.tokens = tokens
    self.endIndex = endIndex
    self.cut = cut
  }
}
