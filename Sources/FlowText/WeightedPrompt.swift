/// A stretch of a prompt, and how strongly it steers.
public struct WeightedText: Equatable, Sendable {
  /// What the picture shows.
  public let text: String
  /// The factor of its tokens, 1 for no more and no less.
  public let weight: Float

  /// Creates a stretch.
  public init(_ text: String, weight: Float = 1) {
    self.text = text
    self.weight = weight
  }
}

/// A prompt whose words steer more or less, as AUTOMATIC1111's web UI established it.
///
/// | written | meaning |
/// |---|---|
/// | `(text)` | the weight times 1.1 |
/// | `[text]` | the weight divided by 1.1 |
/// | `(text:1.5)` | the weight times 1.5, from -100 to 100 |
/// | `\(`, `\)`, `\[`, `\]`, `\\` | the character itself |
/// | `BREAK` | the next word begins a chunk of its own |
/// | `<lora:name:0.8>` | taken out: the tag names an extra network and is no text |
///
/// Brackets within brackets multiply, and what is left open closes at the end. A bracket that
/// closes nothing, and a colon without a number and a closing parenthesis after it, are text; a
/// backslash before anything else is left out. `BREAK` is a word by itself, in upper case. Every
/// text is a prompt; there are no mistakes.
public struct WeightedPrompt: Equatable, Sendable {
  /// What `BREAK` separates, at least one; neighbors in a section differ in weight.
  public let sections: [[WeightedText]]
  /// The tags that were taken out, in order.
  public let networkTags: [NetworkTag]

  /// Reads a prompt.
  ///
  /// - Complexity: O(*n*) in the length of the prompt.
  public init(parsing prompt: String) {
    var sections: [[WeightedText]] = [[]]
    var tags: [NetworkTag] = []
    // Each kind nests in itself alone, so "(a [b) c]" has meaning too.
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
  /// The text alone, for an encoder that knows no weights: without brackets, weights and tags, its
  /// sections joined by a blank.
  package var text: String {
    sections.map { $0.map(\.text).joined() }.joined(separator: " ")
  }

  /// A prompt as it is, but for the tags that are taken out of a weighted one.
  package static func textWithoutTags(_ prompt: String) -> String {
    WeightedPrompt(parsing: prompt).networkTags.reduce(prompt) { text, tag in
      text.replacing(tag.text, with: "")
    }
  }
}
