internal import Foundation

/// The tokenizer of Qwen2 and Qwen3, equal to transformers' `Qwen2Tokenizer`.
package struct QwenTokenizer: Sendable {
  private let encoding: BytePairEncoding
  private let added: AddedTokens
  private let padding: Int

  /// Reads a tokenizer folder: `vocab.json` and `merges.txt`, or `tokenizer.json`, and padding and
  /// added tokens from `special_tokens_map.json`, `added_tokens.json` and `tokenizer_config.json`.
  ///
  /// - Throws: a ``TextError`` for files that are missing, damaged, or of another kind of
  ///   tokenizer.
  package init(folder: String) throws(TextError) {
    try QwenTokenizerFile.check(folder: folder)
    let file = try TokenizerFile(folder: folder)
    try QwenTokenizerFile.check(file, folder: folder)
    for text in ["<|im_start|>", "<|im_end|>"] where file.added[text] == nil {
      throw TextError(
        code: .tokenizerInvalid,
        message: "the added tokens in '\(folder)' lack '\(text)', which Qwen's messages need; "
          + "fetch tokenizer_config.json or added_tokens.json too")
    }
    let paddingText = file.paddingText ?? "<|endoftext|>"
    guard let padding = file.token(paddingText) else {
      throw TextError(
        code: .tokenizerInvalid,
        message: "the vocabulary in '\(folder)' has no '\(paddingText)', which pads a prompt; "
          + "fetch the tokenizer again")
    }
    self.padding = padding
    encoding = BytePairEncoding(
      vocabulary: file.vocabulary, merges: file.merges, unknown: padding, endOfWord: "")
    added = AddedTokens(Array(file.added.values)) { $0.composedScalars }
  }

  /// Encodes a prompt as a user message into exactly `length` tokens: the message, then padding.
  ///
  /// A message that is too long is truncated and loses the end of the template. Special tokens in
  /// the prompt itself, such as `<|im_end|>`, are recognized, as in transformers.
  ///
  /// - Precondition: `length` is positive.
  package func encode(
    _ prompt: String, in template: ChatTemplate, length: Int
  ) -> TokenizedPrompt {
    precondition(length >= 1, "the length must be positive, got \(length)")
    var tokens: [Int] = []
    var rest: String?
    let words = words(of: template.prefix + prompt + template.suffix)
    for (index, word) in words.enumerated() {
      let encoded = self.tokens(of: word)
      let room = length - tokens.count
      tokens += encoded.prefix(room)
      guard encoded.count <= room else {
        rest = words[index...].map(\.text).joined()
        break
      }
    }
    let endIndex = tokens.count - 1
    tokens += [Int](repeating: padding, count: length - tokens.count)
    return TokenizedPrompt(
      tokens: tokens, endIndex: endIndex, cut: rest.flatMap { Self.prompt(in: $0, of: template) })
  }

  /// The tokens of a text without a template.
  func tokens(of text: String) -> [Int] { words(of: text).flatMap { tokens(of: $0) } }

  /// The part of the prompt in the remainder of a truncated message, if any.
  private static func prompt(in rest: String, of template: ChatTemplate) -> String? {
    let (rest, suffix) = (Array(rest.unicodeScalars), Array(template.suffix.unicodeScalars))
    guard rest.count > suffix.count, rest.suffix(suffix.count).elementsEqual(suffix) else {
      return nil
    }
    let prompt = rest.dropLast(suffix.count).reduce(into: "") { $0.unicodeScalars.append($1) }
      .trimmingCharacters(in: .whitespacesAndNewlines)
    return prompt.isEmpty ? nil : prompt
  }

  /// A word of a composed text, or an added token with its id.
  private struct Word {
    let text: String
    var addedToken: Int?
  }

  private func words(of text: String) -> [Word] {
    added.pieces(of: text).flatMap { piece in
      switch piece {
      case .token(let text, let token): [Word(text: text, addedToken: token)]
      case .text(let text): QwenWords.words(of: text).map { Word(text: $0) }
      }
    }
  }

  private func tokens(of word: Word) -> [Int] {
    word.addedToken.map { [$0] } ?? encoding.encode(word.text)
  }
}
