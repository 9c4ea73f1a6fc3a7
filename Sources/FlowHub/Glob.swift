/// A path pattern of `huggingface_hub`: `*` matches any text including slashes, `?` any one
/// character, `[a-z]` and `[!a-z]` a set; a trailing slash matches everything in the folder.
struct Glob: Sendable {
  private enum Part: Sendable {
    case any
    case one
    case literal(Character)
    case set([ClosedRange<Character>], isInverted: Bool)

    func matches(_ character: Character) -> Bool {
      switch self {
      case .any, .one: true
      case .literal(let literal): literal == character
      case .set(let ranges, let isInverted):
        ranges.contains { $0.contains(character) } != isInverted
      }
    }
  }

  private let parts: [Part]

  init(_ pattern: String) {
    var parts: [Part] = []
    var rest = Array(pattern.hasSuffix("/") ? pattern + "*" : pattern)[...]
    while let character = rest.popFirst() {
      switch character {
      case "*":
        if case .any? = parts.last { continue }
        parts.append(.any)
      case "?": parts.append(.one)
      case "[": parts.append(Self.set(&rest) ?? .literal("["))
      default: parts.append(.literal(character))
      }
    }
    self.parts = parts
  }

  /// Parses a set after its `[`; returns nil and consumes nothing if the set has no end.
  private static func set(_ rest: inout ArraySlice<Character>) -> Part? {
    var body = rest
    let isInverted = body.first == "!"
    if isInverted { body.removeFirst() }
    // A leading `]` belongs to the set.
    guard let end = body.dropFirst().firstIndex(of: "]") else { return nil }
    var members = body[..<end]
    rest = body[(end + 1)...]
    var ranges: [ClosedRange<Character>] = []
    while let first = members.popFirst() {
      guard members.first == "-", members.count > 1, let last = members.dropFirst().first else {
        ranges.append(first...first)
        continue
      }
      members = members.dropFirst(2)
      if first <= last { ranges.append(first...last) }
    }
    return .set(ranges, isInverted: isInverted)
  }

  /// Whether a path matches as a whole.
  ///
  /// - Complexity: O(*n* * *m*) in the lengths of path and pattern, for any number of stars.
  func matches(_ path: String) -> Bool {
    let characters = Array(path)
    var (part, character) = (0, 0)
    var star: (part: Int, character: Int)?
    while character < characters.count {
      if part < parts.count, case .any = parts[part] {
        star = (part, character)
        part += 1
      } else if part < parts.count, parts[part].matches(characters[character]) {
        part += 1
        character += 1
      } else if let last = star {
        // Extends the match of the last star by one character.
        star = (last.part, last.character + 1)
        (part, character) = (last.part + 1, last.character + 1)
      } else {
        return false
      }
    }
    return parts[part...].allSatisfy { if case .any = $0 { true } else { false } }
  }
}
