/// A span of a prompt and its weight.
public struct WeightedText: Equatable, Sendable {
  /// The text of the span.
  public let text: String
  /// The factor of its tokens; 1 is neutral.
  public let weight: Float

  /// Creates a span.
  public init(_ text: String, weight: Float = 1) {
    self.text = text
    self.weight = weight
  }
}

/// A prompt with attention weights in the syntax of AUTOMATIC1111's web UI.
///
/// | written | meaning |
/// |---|---|
/// | `(text)` | the weight times 1.1 |
/// | `[text]` | the weight divided by 1.1 |
/// | `(text:1.5)` | the weight times 1.5, from -100 to 100 |
/// | `\(`, `\)`, `\[`, `\]`, `\\` | the character itself |
/// | `BREAK` | the next word begins a chunk of its own |
/// | `<lora:name:0.8>` | removed: the tag requests an extra network and is not text |
///
/// Nested brackets multiply, and open brackets close at the end. Unmatched closing brackets, and
/// colons that are not followed by a number and a closing parenthesis, are text; a backslash before
/// any other character is removed. `BREAK` must be a separate word in upper case. Every text is
/// valid.
public struct WeightedPrompt: Equatable, Sendable {
  /// The sections that `BREAK` separates, at least one; adjacent spans of a section differ in
  /// weight.
  public let sections: [[WeightedText]]
  /// The tags that were removed, in order.
  public let networkTags: [NetworkTag]

  /// Parses a prompt.
  ///
  /// - Complexity: O(*n*) in the length of the prompt.
  public init(parsing prompt: String) {
    var sections: [[WeightedText]] = [[]]
    var tags: [NetworkTag] = []
    // Each kind of bracket nests independently, so "(a [b) c]" is valid too.
    var round = [1.0]
    var square = [1.0]
    var open: (text: String, weight: Float) = ("", 1)
    func endStretch() {
      if !open.text.isEmpty {
        sections[sections.count - 1].append(WeightedText(open.text, weight: open.weight))
      }
      open.text = ""
    }
    for sign in PromptScanner.signs(of: prompt) {
      switch sign {
      case .open(.round, let factor): round.append(round[round.count - 1] * factor)
      case .open(.square, let factor): square.append(square[square.count - 1] * factor)
      case .close(.round): round.removeLast()
      case .close(.square): square.removeLast()
      case .text(let text):
        let weight = Float(round[round.count - 1] * square[square.count - 1])
        if weight != open.weight { endStretch() }
        open.text += text
        open.weight = weight
      case .tag(let tag): tags.append(tag)
      case .sectionEnd:
        endStretch()
        sections.append([])
      }
    }
    endStretch()
    self.sections = sections
    networkTags = tags
  }
}

extension WeightedPrompt {
  /// The plain text, for encoders without weights: without brackets, weights and tags, the sections
  /// joined by a space.
  package var text: String {
    sections.map { $0.map(\.text).joined() }.joined(separator: " ")
  }

  /// A prompt without the tags that a weighted prompt removes, otherwise unchanged.
  package static func textWithoutTags(_ prompt: String) -> String {
    WeightedPrompt(parsing: prompt).networkTags.reduce(prompt) { text, tag in
      text.replacing(tag.text, with: "")
    }
  }
}
