/// Turns a prompt into the numbers that a text encoder reads.
public protocol Tokenizer: Sendable {
  /// Encodes a prompt into exactly `length` tokens.
  func encode(_ prompt: String, length: Int) -> TokenizedPrompt
}

/// A prompt as tokens.
public struct TokenizedPrompt: Equatable, Sendable {
  /// The tokens with their marks of start and end, padded to the length that was asked for.
  public let tokens: [Int]
  /// Where the mark of the end stands, from which a pooled output is taken.
  public let endIndex: Int
  /// The end of the prompt that did not fit, if any: what the picture will know nothing of.
  public let cut: String?

  /// Creates a tokenized prompt.
  public init(tokens: [Int], endIndex: Int, cut: String? = nil) {
    self.tokens = tokens
    self.endIndex = endIndex
    self.cut = cut
  }
}
