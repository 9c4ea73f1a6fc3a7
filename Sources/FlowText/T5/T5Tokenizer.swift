/// The tokenizer of T5's text encoders, equal to transformers' `T5Tokenizer`.
package struct T5Tokenizer: Tokenizer {
  /// The marker before a word, in place of a space.
  private static let mark: Unicode.Scalar = "\u{2581}"
  private static let padding = 0
  private static let end = 1
  private static let unknown = 2

  private let model: UnigramModel
  private let added: AddedTokens

  /// Reads a tokenizer folder: `tokenizer.json` or `spiece.model`, and the added tokens of
  /// `special_tokens_map.json`, `added_tokens.json` and `tokenizer_config.json`.
  ///
  /// - Throws: a ``TextError`` for files that are missing, damaged, or of another kind of
  ///   tokenizer.
  package init(folder: String) throws(TextError) {
    let file = try T5TokenizerFile(folder: folder)
    model = UnigramModel(file.pieces, unknown: Self.unknown)
    added = AddedTokens(Array(file.added.values)) { [map = file.map] text in
      map?.normalized(text) ?? Array(text.unicodeScalars)
    }
  }

  /// Encodes a prompt into exactly `length` tokens: the text, EOS, padding.
  ///
  /// - Precondition: `length` is at least 1, for EOS.
  package func encode(_ prompt: String, length: Int) -> TokenizedPrompt {
    precondition(length >= 1, "EOS takes one token, got \(length)")
    var tokens: [Int] = []
    var cut: String?
    let words = words(of: prompt)
    for (index, word) in words.enumerated() {
      let encoded = word.addedToken.map { [$0] } ?? model.encode(Array(word.text.utf8))
      let room = length - 1 - tokens.count
      tokens += encoded.prefix(room)
      guard encoded.count <= room else {
        cut = words[index...].map(\.plainText).filter { !$0.isEmpty }.joined(separator: " ")
        break
      }
    }
    tokens.append(Self.end)
    let endIndex = tokens.count - 1
    tokens += [Int](repeating: Self.padding, count: length - tokens.count)
    return TokenizedPrompt(tokens: tokens, endIndex: endIndex, cut: cut)
  }

  /// A word with its marker, or an added token with its id.
  private struct Word {
    let text: String
    var addedToken: Int?

    /// The text without the marker.
    var plainText: String {
      guard addedToken == nil, text.unicodeScalars.first == mark else { return text }
      return String(text.unicodeScalars.dropFirst())
    }
  }

  private func words(of prompt: String) -> [Word] {
    added.pieces(of: prompt).flatMap { piece in
      switch piece {
      case .token(let text, let token): [Word(text: text, addedToken: token)]
      case .text(let text): Self.words(of: text).map { Word(text: $0) }
      }
    }
  }

  /// The words of a normalized text, each with one marker before it.
  ///
  /// White space ends a word, and so does a marker in the text itself.
  private static func words(of scalars: [Unicode.Scalar]) -> [String] {
    scalars.split { $0.properties.isWhitespace }.flatMap { run in
      var words: [String] = run.first == mark ? [] : [String(mark)]
      for scalar in run {
        if scalar == mark { words.append("") }
        words[words.count - 1].unicodeScalars.append(scalar)
      }
      return words
    }
  }
}
