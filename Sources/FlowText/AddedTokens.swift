/// A token that a tokenizer's files add to its vocabulary: a textual-inversion placeholder such as
/// `<cat-toy>`, or one of the special tokens.
struct AddedToken: Equatable, Sendable {
  /// The text that stands for the token.
  let content: String
  /// The token id.
  let token: Int
  /// Whether the token takes the white space before it.
  var stripsLeft = false
  /// Whether the token takes the white space after it.
  var stripsRight = false
  /// Whether the token counts only where no letter or digit touches it.
  var isSingleWord = false
  /// Whether the token is searched in the normalized text (composed, lower case) instead of the
  /// text as written.
  var isNormalized = false
}

/// Extracts added tokens from a text before the rest is split into words.
///
/// Matches `AddedVocabulary` of Hugging Face's tokenizers: tokens that are not normalized are found
/// in the original text, the remaining text is normalized, and normalized tokens are found there.
/// The leftmost match wins; of several matches at one position, the longest.
struct AddedTokens: Sendable {
  /// A part of a text.
  enum Piece: Equatable {
    /// Normalized text without added tokens.
    case text([Unicode.Scalar])
    /// An added token, as its files write it.
    case token(String, Int)
  }

  private let literal: Matcher
  private let normalized: Matcher
  private let normalize: @Sendable (String) -> [Unicode.Scalar]

  /// - Parameters:
  ///   - tokens: the tokens.
  ///   - normalize: the normalization that the tokenizer applies before it splits a text into
  ///     words.
  init(_ tokens: [AddedToken], normalize: @escaping @Sendable (String) -> [Unicode.Scalar]) {
    self.normalize = normalize
    let tokens = tokens.filter { !$0.content.isEmpty }
    literal = Matcher(
      tokens.filter { !$0.isNormalized }.map { (Array($0.content.unicodeScalars), $0) })
    normalized = Matcher(
      tokens.filter(\.isNormalized).map { (normalize($0.content), $0) })
  }

  /// The pieces of a text, in order.
  ///
  /// - Complexity: O(*n* * *m*) in the lengths of the text and of the longest token.
  func pieces(of text: String) -> [Piece] {
    literal.pieces(of: Array(text.unicodeScalars)).flatMap { piece -> [Piece] in
      guard case .text(let scalars) = piece else { return [piece] }
      let text = scalars.reduce(into: "") { $0.unicodeScalars.append($1) }
      return normalized.pieces(of: normalize(text))
    }
  }
}

/// Finds the tokens of one kind in a text.
private struct Matcher: Sendable {
  private struct Node: Sendable {
    var next: [Unicode.Scalar: Int] = [:]
    var token: AddedToken?
  }

  /// A trie; the first node is its root.
  private var nodes = [Node()]

  init(_ tokens: [(text: [Unicode.Scalar], token: AddedToken)]) {
    for (text, token) in tokens where !text.isEmpty {
      var node = 0
      for scalar in text {
        if let next = nodes[node].next[scalar] {
          node = next
        } else {
          nodes.append(Node())
          nodes[node].next[scalar] = nodes.count - 1
          node = nodes.count - 1
        }
      }
      nodes[node].token = token
    }
  }

  func pieces(of text: [Unicode.Scalar]) -> [AddedTokens.Piece] {
    var pieces: [AddedTokens.Piece] = []
    var textStart = 0
    var position = 0
    while position < text.count {
      guard let (token, matchEnd) = longestMatch(in: text, at: position) else {
        position += 1
        continue
      }
      var (start, end) = (position, matchEnd)
      // A rejected match still ends the search inside it, as in the reference implementation.
      position = matchEnd
      if token.isSingleWord {
        let touches =
          (start > 0 && Self.isWord(text[start - 1]))
          || (end < text.count && Self.isWord(text[end]))
        if touches { continue }
      }
      if token.stripsLeft {
        while start > textStart, text[start - 1].properties.isWhitespace { start -= 1 }
      }
      if token.stripsRight {
        while end < text.count, text[end].properties.isWhitespace { end += 1 }
      }
      if textStart < start { pieces.append(.text(Array(text[textStart..<start]))) }
      pieces.append(.token(token.content, token.token))
      textStart = max(end, textStart)
    }
    if textStart < text.count { pieces.append(.text(Array(text[textStart...]))) }
    return pieces
  }

  private func longestMatch(
    in text: [Unicode.Scalar], at start: Int
  ) -> (token: AddedToken, end: Int)? {
    var found: (token: AddedToken, end: Int)?
    var node = 0
    var position = start
    while position < text.count, let next = nodes[node].next[text[position]] {
      node = next
      position += 1
      if let token = nodes[node].token { found = (token, position) }
    }
    return found
  }

  /// Whether a scalar is a word character, `\w` of a Unicode regular expression.
  private static func isWord(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .decimalNumber, .connectorPunctuation, .nonspacingMark, .spacingMark, .enclosingMark: true
    default: scalar.properties.isAlphabetic || scalar.properties.isJoinControl
    }
  }
}
