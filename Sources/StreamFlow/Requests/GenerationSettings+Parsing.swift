internal import FlowModels

extension GenerationSettings {
  /// Parses the `parameters` text of an image.
  ///
  /// A text without a last line of pairs is only a prompt. Never fails: unknown names become fields
  /// too.
  public init(parsing text: String) {
    var lines = text.replacing("\r\n", with: "\n").split(
      separator: "\n", omittingEmptySubsequences: false)
    while lines.last?.allSatisfy(\.isWhitespace) == true { lines.removeLast() }
    // A prompt's own last line may contain a colon or two; settings begin with the steps or are
    // many.
    if let last = lines.last {
      let found = Self.fields(in: last)
      if found.count >= 3 || found.first?.name == "Steps" {
        fields = found
        lines.removeLast()
      }
    }
    let mark = "Negative prompt:"
    let negative = lines.firstIndex { $0.hasPrefix(mark) } ?? lines.endIndex
    prompt = lines[..<negative].joined(separator: "\n")
    guard negative < lines.endIndex else { return }
    var rest = Array(lines[negative...])
    rest[0] = rest[0].dropFirst(mark.count)
    if rest[0].first == " " { rest[0] = rest[0].dropFirst() }
    negativePrompt = rest.joined(separator: "\n")
  }

  /// The `Name: value` pairs of a line, separated by commas; values may be JSON strings.
  private static func fields(in line: Substring) -> [Field] {
    var fields: [Field] = []
    var rest = line
    while !rest.isEmpty {
      rest = rest.drop { $0 == "," || $0.isWhitespace }
      guard let colon = rest.firstIndex(of: ":") else { break }
      let name = rest[..<colon]
      guard isName(name) else {
        // Anything that is not a pair is skipped up to the next comma.
        guard let comma = rest.firstIndex(of: ",") else { break }
        rest = rest[rest.index(after: comma)...]
        continue
      }
      rest = rest[rest.index(after: colon)...].drop(while: \.isWhitespace)
      let value: String
      if let (text, end) = quoted(rest) {
        value = text
        rest = rest[end...]
      } else {
        let end = rest.firstIndex(of: ",") ?? rest.endIndex
        value = String(rest[..<end].trimmingSuffix(while: \.isWhitespace))
        rest = rest[end...]
      }
      fields.append(Field(name: String(name), value: value))
    }
    return fields
  }

  private static func isName(_ name: Substring) -> Bool {
    guard let first = name.first, first.isLetter || first.isNumber else { return false }
    return name.allSatisfy {
      $0.isLetter || $0.isNumber || $0 == " " || $0 == "_" || $0 == "-" || $0 == "/"
    }
  }

  /// The text of a quoted value, and the index after it.
  private static func quoted(_ text: Substring) -> (text: String, end: Substring.Index)? {
    guard text.first == "\"" else { return nil }
    var value = ""
    var index = text.index(after: text.startIndex)
    while index < text.endIndex {
      switch text[index] {
      case "\"":
        let end = text.index(after: index)
        // A quote inside a text that was not escaped does not end the value.
        guard end == text.endIndex || text[end] == "," else { return nil }
        return (value, end)
      case "\\":
        index = text.index(after: index)
        guard index < text.endIndex else { return nil }
        value.append(text[index] == "n" ? "\n" : text[index])
      default: value.append(text[index])
      }
      index = text.index(after: index)
    }
    return nil
  }
}

extension Substring {
  fileprivate func trimmingSuffix(while isDropped: (Character) -> Bool) -> Substring {
    var result = self
    while let last = result.last, isDropped(last) { result.removeLast() }
    return result
  }
}
