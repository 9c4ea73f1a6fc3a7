/// Takes a name apart from the front; a dot stands for an underscore too.
struct NameReader {
  private var left: Substring

  init(_ name: String) {
    left = name[...]
    skipSeparator()
  }

  /// What is left, with the separator before it.
  var rest: String { left.isEmpty ? "" : ".\(left)" }

  /// Whether nothing is left.
  var isAtEnd: Bool { left.isEmpty }

  /// Takes whole parts off the front, if they are there.
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

  /// Takes a whole number off the front, if there is one.
  mutating func takeNumber() -> Int? {
    let digits = left.prefix { $0.isASCII && $0.isNumber }
    guard let number = Int(digits), take(String(digits)) else { return nil }
    return number
  }

  private mutating func skipSeparator() {
    if let first = left.first, first == "." || first == "_" { left.removeFirst() }
  }
}
