/// Finds the markup of a weighted prompt.
struct PromptScanner {
  enum Bracket: Hashable {
    case round, square

    /// The factor of a bracket without an explicit weight.
    var factor: Double { self == .round ? 1.1 : 1 / 1.1 }
  }

  enum Sign {
    case text(String)
    /// An opening bracket and its factor, which may be given at its end.
    case open(Bracket, factor: Double)
    case close(Bracket)
    case sectionEnd
    case tag(NetworkTag)
  }

  /// The markup in order.
  ///
  /// Every closing bracket has an opening one before it.
  static func signs(of prompt: String) -> [Sign] {
    var scanner = PromptScanner(scalars: Array(prompt.unicodeScalars))
    while scanner.position < scanner.scalars.count { scanner.scan() }
    scanner.endText()
    return scanner.signs
  }

  /// The accepted range of weights; larger ones destroy the image.
  private static let weights = -100.0...100.0

  private let scalars: [Unicode.Scalar]
  private var position = 0
  private var signs: [Sign] = []
  private var text = String.UnicodeScalarView()
  /// Positions of the open brackets.
  private var openRound: [Int] = []
  private var openSquare: [Int] = []
  /// Whether a search for the end of a tag has reached the end of the prompt.
  private var hasNoTagEnd = false

  private init(scalars: [Unicode.Scalar]) { self.scalars = scalars }

  private mutating func scan() {
    let scalar = scalars[position]
    position += 1
    switch scalar {
    case "\\":
      guard position < scalars.count, "\\()[]".unicodeScalars.contains(scalars[position]) else {
        return
      }
      text.append(scalars[position])
      position += 1
    case "(":
      endText()
      openRound.append(signs.count)
      signs.append(.open(.round, factor: Bracket.round.factor))
    case "[":
      endText()
      openSquare.append(signs.count)
      signs.append(.open(.square, factor: Bracket.square.factor))
    case ")" where !openRound.isEmpty:
      endText()
      openRound.removeLast()
      signs.append(.close(.round))
    case "]" where !openSquare.isEmpty:
      endText()
      openSquare.removeLast()
      signs.append(.close(.square))
    case ":" where !openRound.isEmpty:
      guard let (weight, end) = weightAndEnd() else {
        text.append(scalar)
        return
      }
      endText()
      signs[openRound.removeLast()] = .open(.round, factor: weight)
      signs.append(.close(.round))
      position = end
    case "<":
      guard let (tag, end) = tagAndEnd() else {
        text.append(scalar)
        return
      }
      endText()
      signs.append(.tag(tag))
      position = end
    case "B" where endOfBreak() != nil:
      while text.last?.properties.isWhitespace == true { text.removeLast() }
      endText()
      signs.append(.sectionEnd)
      position = skippingBlanks(from: endOfBreak() ?? position)
    default: text.append(scalar)
    }
  }

  private mutating func endText() {
    guard !text.isEmpty else { return }
    signs.append(.text(String(text)))
    text = String.UnicodeScalarView()
  }

  private func skippingBlanks(from start: Int) -> Int {
    scalars[start...].firstIndex { !$0.properties.isWhitespace } ?? scalars.count
  }

  /// The number and the closing parenthesis after a colon, if present.
  private func weightAndEnd() -> (weight: Double, end: Int)? {
    let start = skippingBlanks(from: position)
    let end =
      scalars[start...].firstIndex { !"+-.0123456789".unicodeScalars.contains($0) }
      ?? scalars.count
    let close = skippingBlanks(from: end)
    guard close < scalars.count, scalars[close] == ")" else { return nil }
    let number = scalars[start..<end].reduce(into: "") { $0.unicodeScalars.append($1) }
    guard let weight = Double(number), Self.weights.contains(weight) else { return nil }
    return (weight, close + 1)
  }

  /// The tag that follows an angle bracket, and its end, if there is one.
  private mutating func tagAndEnd() -> (tag: NetworkTag, end: Int)? {
    let longest = 9  // hypernet and a colon
    let start = scalars[position..<min(position + longest, scalars.count)]
      .reduce(into: "") { $0.unicodeScalars.append($1) }.lowercased()
    guard !hasNoTagEnd,
      NetworkTag.Kind.allCases.contains(where: { start.hasPrefix("\($0.rawValue):") })
    else { return nil }
    guard let end = scalars[position...].firstIndex(of: ">") else {
      hasNoTagEnd = true
      return nil
    }
    let content = scalars[position..<end].reduce(into: "") { $0.unicodeScalars.append($1) }
    return NetworkTag(content: content).map { ($0, end + 1) }
  }

  /// The end of the word whose first letter was just read, if the word is `BREAK`.
  private func endOfBreak() -> Int? {
    let end = position + 4
    guard end <= scalars.count, scalars[position..<end].elementsEqual("REAK".unicodeScalars),
      position < 2 || !Self.isWord(scalars[position - 2]),
      end == scalars.count || !Self.isWord(scalars[end])
    else { return nil }
    return end
  }

  private static func isWord(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter,
      .decimalNumber, .letterNumber, .otherNumber:
      true
    default: scalar == "_"
    }
  }
}
