internal import Foundation

/// The tokenizer of CLIP's text encoders; gives what transformers' `CLIPTokenizer` gives.
public struct CLIPTokenizer: Tokenizer {
  /// The number of tokens with their marks that the model was trained with, where the files say.
  public let maximumLength: Int?

  let encoding: BytePairEncoding
  let start: Int
  let end: Int
  let padding: Int
  /// The token of a comma by itself, where the vocabulary has one.
  let comma: Int?
  private let special: [(text: String, token: Int)]

  /// Reads a tokenizer folder: `vocab.json` and `merges.txt`, or `tokenizer.json`, and beside
  /// them what `special_tokens_map.json` and `tokenizer_config.json` say of padding and length.
  ///
  /// - Parameters:
  ///   - folder: the folder.
  ///   - padding: the token that fills a prompt up; what the files say unless given.
  public init(folder: String, padding: String? = nil) throws(TextError) {
    let file = try TokenizerFile(folder: folder)
    func token(_ text: String) throws(TextError) -> Int {
      guard let token = file.vocabulary[text] else {
        throw TextError(
          code: .tokenizerInvalid,
          message: "the vocabulary in '\(folder)' has no '\(text)', which CLIP needs; fetch the "
            + "tokenizer again")
      }
      return token
    }
    start = try token("<|startoftext|>")
    end = try token("<|endoftext|>")
    self.padding = try (padding ?? file.paddingText).map(token) ?? end
    special = [("<|startoftext|>", start), ("<|endoftext|>", end)]
    comma = file.vocabulary[",</w>"]
    maximumLength = file.maximumLength
    encoding = BytePairEncoding(
      vocabulary: file.vocabulary, merges: file.merges, unknown: end)
  }

  /// Encodes a prompt into exactly `length` tokens: the start, the words, the end, padding.
  ///
  /// - Precondition: there is room for the start and the end.
  public func encode(_ prompt: String, length: Int) -> TokenizedPrompt {
    precondition(length >= 2, "the start and the end of a prompt take two tokens, got \(length)")
    var tokens = [start]
    var cut: String?
    scan: for piece in pieces(of: prompt) {
      switch piece {
      case .special(_, let token): tokens.append(token)
      case .text(let text):
        let words = Self.words(of: Self.normalize(text))
        for (index, word) in words.enumerated() {
          let encoded = encoding.encode(word)
          let room = max(length - 1 - tokens.count, 0)
          tokens += encoded.prefix(room)
          guard encoded.count <= room else {
            cut = words[index...].joined(separator: " ")
            break scan
          }
        }
      }
    }
    // A special token that was spelled out can be the one too many.
    tokens = Array(tokens.prefix(length - 1))
    tokens.append(end)
    let endIndex = tokens.firstIndex(of: end) ?? tokens.count - 1
    tokens += [Int](repeating: padding, count: length - tokens.count)
    return TokenizedPrompt(tokens: tokens, endIndex: endIndex, cut: cut)
  }

  enum Piece {
    case text(Substring)
    case special(String, Int)
  }

  /// The prompt cut at special tokens that it spells out.
  func pieces(of prompt: String) -> [Piece] {
    var pieces: [Piece] = []
    var rest = Substring(prompt)
    while let found = special.compactMap({ text, token in
      rest.range(of: text).map { (range: $0, text: text, token: token) }
    }).min(by: { $0.range.lowerBound < $1.range.lowerBound }) {
      pieces.append(.text(rest[..<found.range.lowerBound]))
      pieces.append(.special(found.text, found.token))
      rest = rest[found.range.upperBound...]
    }
    return pieces + [.text(rest)]
  }

  /// Composed, blanks made one space, lower case, each scalar by itself.
  static func normalize(_ text: Substring) -> [Unicode.Scalar] {
    var scalars: [Unicode.Scalar] = []
    for scalar in String(text).precomposedStringWithCanonicalMapping.unicodeScalars {
      if scalar.properties.isWhitespace {
        if scalars.last != " " { scalars.append(" ") }
      } else {
        scalars += scalar.properties.lowercaseMapping.unicodeScalars
      }
    }
    return scalars
  }

  /// Cuts a normalized text as CLIP's pattern does:
  /// `'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+`.
  static func words(of scalars: [Unicode.Scalar]) -> [String] {
    var words: [String] = []
    var position = 0
    while position < scalars.count {
      let start = position
      let kind = Kind(scalars[start])
      if kind == .space {
        position += 1
        continue
      }
      if let length = contractionLength(scalars[start...]) {
        position += length
      } else if kind == .number {
        position += 1
      } else {
        while position < scalars.count, Kind(scalars[position]) == kind { position += 1 }
      }
      words.append(scalars[start..<position].reduce(into: "") { $0.unicodeScalars.append($1) })
    }
    return words
  }

  private static let contractions: [[Unicode.Scalar]] = [
    "'s", "'t", "'re", "'ve", "'m", "'ll", "'d",
  ]
  .map { Array($0.unicodeScalars) }

  private static func contractionLength(_ scalars: ArraySlice<Unicode.Scalar>) -> Int? {
    contractions.first { scalars.starts(with: $0) }?.count
  }

  private enum Kind {
    case space, letter, number, other

    init(_ scalar: Unicode.Scalar) {
      switch scalar.properties.generalCategory {
      case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter:
        self = .letter
      case .decimalNumber, .letterNumber, .otherNumber: self = .number
      default: self = scalar.properties.isWhitespace ? .space : .other
      }
    }
  }
}
