/// The tokenizer of CLIP's text encoders, equal to transformers' `CLIPTokenizer`.
public struct CLIPTokenizer: Tokenizer {
  /// The trained sequence length including BOS and EOS, if the files specify it.
  public let maximumLength: Int?

  let encoding: BytePairEncoding
  let start: Int
  let end: Int
  let padding: Int
  /// The token of a lone comma, if the vocabulary has one.
  let comma: Int?
  private let added: AddedTokens

  /// Reads a tokenizer folder: `vocab.json` and `merges.txt`, or `tokenizer.json`, and padding,
  /// length and added tokens from `special_tokens_map.json`, `added_tokens.json` and
  /// `tokenizer_config.json`.
  ///
  /// - Parameters:
  ///   - folder: the folder.
  ///   - padding: the padding token; the default is what the files specify.
  public init(folder: String, padding: String? = nil) throws(TextError) {
    let file = try TokenizerFile(folder: folder, padding: padding)
    func token(_ text: String) throws(TextError) -> Int {
      guard let token = file.token(text) else {
        throw TextError(
          code: .tokenizerInvalid,
          message: "the vocabulary in '\(folder)' has no '\(text)', which CLIP needs; fetch the "
            + "tokenizer again")
      }
      return token
    }
    start = try token("<|startoftext|>")
    end = try token("<|endoftext|>")
    self.padding = try file.paddingText.map(token) ?? end
    added = AddedTokens(Array(file.added.values)) { Self.normalize($0[...]) }
    comma = file.vocabulary[",</w>"]
    maximumLength = file.maximumLength
    encoding = BytePairEncoding(
      vocabulary: file.vocabulary, merges: file.merges, unknown: end)
  }

  /// Encodes a prompt into exactly `length` tokens: BOS, the text, EOS, padding.
  ///
  /// - Precondition: `length` is at least 2, for BOS and EOS.
  public func encode(_ prompt: String, length: Int) -> TokenizedPrompt {
    precondition(length >= 2, "BOS and EOS of a prompt take two tokens, got \(length)")
    var tokens = [start]
    var cut: String?
    let words = words(of: prompt)
    for (index, word) in words.enumerated() {
      let encoded = self.tokens(of: word)
      let room = max(length - 1 - tokens.count, 0)
      tokens += encoded.prefix(room)
      guard encoded.count <= room else {
        cut = words[index...].map(\.text).joined(separator: " ")
        break
      }
    }
    tokens.append(end)
    let endIndex = tokens.firstIndex(of: end) ?? tokens.count - 1
    tokens += [Int](repeating: padding, count: length - tokens.count)
    return TokenizedPrompt(tokens: tokens, endIndex: endIndex, cut: cut)
  }

  /// A word of a normalized prompt, or an added token with its id.
  struct Word {
    let text: String
    var addedToken: Int?
  }

  /// The words and added tokens of a prompt.
  func words(of prompt: String) -> [Word] {
    added.pieces(of: prompt).flatMap { piece in
      switch piece {
      case .token(let text, let token): [Word(text: text, addedToken: token)]
      case .text(let text): Self.words(of: text).map { Word(text: $0) }
      }
    }
  }

  /// The token ids of a word.
  func tokens(of word: Word) -> [Int] {
    word.addedToken.map { [$0] } ?? encoding.encode(word.text)
  }

  /// Normalizes each scalar: composed (NFC), white space collapsed to one space, lower case.
  static func normalize(_ text: Substring) -> [Unicode.Scalar] {
    var scalars: [Unicode.Scalar] = []
    for scalar in String(text).composedScalars {
      if scalar.properties.isWhitespace {
        if scalars.last != " " { scalars.append(" ") }
      } else {
        scalars += scalar.properties.lowercaseMapping.unicodeScalars
      }
    }
    return scalars
  }

  /// Splits a normalized text by CLIP's pattern:
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
      if let mark = marks.first(where: { scalars[start...].starts(with: $0.joined()) }) {
        words += mark.map { $0.reduce(into: "") { $0.unicodeScalars.append($1) } }
        position += mark.joined().count
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

  /// BOS and EOS tokens that are not added tokens, as in `<|EndOfText|>`: the pattern matches each
  /// as a whole, and byte-level encoding then splits it at its brackets.
  private static let marks: [[[Unicode.Scalar]]] = [
    ["<|", "startoftext", "|>"], ["<|", "endoftext", "|>"],
  ]
  .map { $0.map { Array($0.unicodeScalars) } }

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
