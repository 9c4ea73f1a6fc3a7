/// The splitting of a text into words with which Qwen's byte-pair encoding was trained.
///
/// The regular expression is `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|
/// ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`.
///
/// Every character belongs to a word: the concatenated words are the text.
enum QwenWords {
  /// The expression as in `tokenizer.json`.
  static let expression =
    #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"#
    + #"|\s*[\r\n]+|\s+(?!\S)|\s+"#

  /// The words of a composed text.
  ///
  /// - Complexity: O(*n*) in the length of the text.
  static func words(of scalars: [Unicode.Scalar]) -> [String] {
    let kinds = scalars.map(Kind.init)
    var words: [String] = []
    var start = 0
    while start < scalars.count {
      let end = end(ofWordAt: start, scalars, kinds)
      words.append(scalars[start..<end].reduce(into: "") { $0.unicodeScalars.append($1) })
      start = end
    }
    return words
  }

  private enum Kind {
    case letter, number, lineEnd, blank, other

    init(_ scalar: Unicode.Scalar) {
      switch scalar.properties.generalCategory {
      case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter:
        self = .letter
      case .decimalNumber, .letterNumber, .otherNumber: self = .number
      default:
        self =
          scalar == "\r" || scalar == "\n"
          ? .lineEnd : scalar.properties.isWhitespace ? .blank : .other
      }
    }

    var isSpace: Bool { self == .blank || self == .lineEnd }
  }

  private static func end(
    ofWordAt start: Int, _ scalars: [Unicode.Scalar], _ kinds: [Kind]
  ) -> Int {
    func end(from start: Int, while isPart: (Kind) -> Bool) -> Int {
      var end = start
      while end < kinds.count, isPart(kinds[end]) { end += 1 }
      return end
    }
    if let length = contractionLength(scalars[start...]) { return start + length }
    let kind = kinds[start]
    // Letters, preceded by at most one character that is neither a line end nor a number.
    let first = kind == .other || kind == .blank ? start + 1 : start
    let afterLetters = end(from: first) { $0 == .letter }
    if afterLetters > first { return afterLetters }
    if kind == .number { return start + 1 }
    // Symbols, preceded by at most one space and followed by any line ends.
    let firstSign = scalars[start] == " " ? start + 1 : start
    let afterSigns = end(from: firstSign) { $0 == .other }
    if afterSigns > firstSign { return end(from: afterSigns) { $0 == .lineEnd } }
    // White space up to the last line end in it. Without a line end, all but the last character,
    // which belongs to the next word unless the text ends.
    let afterSpace = end(from: start, while: \.isSpace)
    if let lastLineEnd = kinds[start..<afterSpace].lastIndex(of: .lineEnd) {
      return lastLineEnd + 1
    }
    return afterSpace < kinds.count && afterSpace - start > 1 ? afterSpace - 1 : afterSpace
  }

  private static let contractions: [[Unicode.Scalar]] = [
    "s", "t", "re", "ve", "m", "ll", "d",
  ]
  .map { Array($0.unicodeScalars) }

  /// The length of a contraction: an apostrophe and the word's ending, ignoring case.
  private static func contractionLength(_ scalars: ArraySlice<Unicode.Scalar>) -> Int? {
    guard scalars.first == "'" else { return nil }
    let folded = scalars.dropFirst().prefix(2).map { scalar -> Unicode.Scalar in
      // Case-insensitive matching treats the long s as an s.
      scalar == "\u{17f}" ? "s" : scalar.properties.lowercaseMapping.unicodeScalars.first ?? scalar
    }
    return contractions.first { folded.starts(with: $0) }.map { $0.count + 1 }
  }
}
