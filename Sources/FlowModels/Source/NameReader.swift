/// Parses a name from the front; a dot also matches an underscore.
struct NameReader {
  private var left: Substring

  init(_ name: String) {
    left = name[...]
    skipSeparator()
  }

  /// The remaining text, with the separator before it.
  var rest: String { left.isEmpty ? "" : ".\(left)" }

  /// Whether the whole name was consumed.
  var isAtEnd: Bool { left.isEmpty }

  /// Consumes complete components at the front if they match.
  mutating func take(_ words: String) -> Bool {
    var place = left.startIndex
    for word in words {
      guard place < left.endIndex else { return false }
      guard left[place] == word || (word == "." && left[place] == "_") else { return false }
      place = left.index(after: place)
    }
    guard place == left.endIndex || left[place] == "." || left[place] == "_" else { return false }
    left = left[place...]
    skipSeparator()
    return true
  }

  /// Consumes an integer at the front, if there is one.
  mutating func takeNumber() -> Int? {
    let digits = left.prefix { $0.isASCII && $0.isNumber }
    guard let number = Int(digits), take(String(digits)) else { return nil }
    return number
  }

  private mutating func skipSeparator() {
    if let first = left.first, first == "." || first == "_" { left.removeFirst() }
  }
}
