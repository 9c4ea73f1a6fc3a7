internal import FlowCore
public import FlowModels
internal import FlowText

extension Checkpoint {
  /// How many unknown words, and how many prompts without a subject, are named one by one.
  static let adviceLimit = 8
  /// How many prompts are checked at most.
  private static let promptLimit = 10_000

  /// What is worth knowing about a request before anything is computed.
  ///
  /// - Parameters:
  ///   - request: the request.
  ///   - width: the width of the image in pixels.
  ///   - height: the height of the image in pixels.
  public func advice(
    on request: GenerationRequest, width: Int, height: Int
  ) -> [RequestAdvice] {
    let prompts = [request.prompt] + (request.blend?.parts.map(\.prompt) ?? [])
    let others = [request.negativePrompt] + (request.editing.map { [$0.sourcePrompt] } ?? [])
    return advice(onPrompts: prompts, besides: others, syntax: request.promptSyntax)
      + advice(onWidth: width, height: height)
  }

  /// Advice on prompts: words that are read as others, and words and subjects that the model was not
  /// trained on.
  ///
  /// Empty for a model without a ``PromptVocabulary``, and for a model whose weights a LoRA has
  /// changed, since the LoRA may have taught it more.
  ///
  /// - Parameters:
  ///   - prompts: the prompts.
  ///   - others: negative prompts and the prompts of sources, which need not name a subject.
  ///   - syntax: how they are read.
  public func advice(
    onPrompts prompts: [String], besides others: [String] = [], syntax: PromptSyntax = .weighted
  ) -> [RequestAdvice] {
    guard let vocabulary, additions.isEmpty else { return [] }
    var words: [String] = []
    var corrections: [PromptVocabulary.Correction] = []
    var searched = PromptVocabulary.SearchedWords()
    func read(_ prompt: String) -> String {
      let found = self.corrections(in: prompt, syntax: syntax, vocabulary, &searched)
      if corrections.count <= Self.adviceLimit {
        corrections += found.filter { !corrections.contains($0) }
      }
      return syntax.text(of: vocabulary.corrected(prompt, found, keeping: syntax.tags(in: prompt)))
    }
    var (without, several): ([String], [String]) = ([], [])
    var (seen, seenWords): (Set<String>, Set<String>) = ([], [])
    for prompt in prompts.prefix(Self.promptLimit) where seen.insert(prompt).inserted {
      let text = read(prompt)
      guard text.contains(where: { !$0.isWhitespace }) else { continue }
      let reading = vocabulary.reading(of: text)
      words += reading.unknownWords.filter { seenWords.insert($0).inserted }
      if reading.subjects.isEmpty { without.append(prompt) }
      if reading.subjects.count > vocabulary.subjectLimit { several.append(prompt) }
    }
    for other in others { _ = read(other) }
    let limit = vocabulary.subjectLimit == 1 ? "one" : "at most \(vocabulary.subjectLimit)"
    return correctedWords(corrections) + unknownWords(words, vocabulary)
      + remark(
        on: without, .unknownSubject,
        "none of the \(vocabulary.subjects.count) things that \(title) can draw")
      + remark(
        on: several, .severalSubjects, "several things, and \(title) draws \(limit) per image")
  }

  /// The text that the text encoders read: the prompt with its typing errors corrected, if the
  /// model has a vocabulary that asks for it and no LoRA that may have taught it more words.
  func encodedText(of prompt: String, syntax: PromptSyntax) -> String {
    guard let vocabulary, vocabulary.correctsSpelling, additions.isEmpty else { return prompt }
    var searched = PromptVocabulary.SearchedWords()
    return vocabulary.corrected(
      prompt, corrections(in: prompt, syntax: syntax, vocabulary, &searched),
      keeping: syntax.tags(in: prompt))
  }

  /// The corrections of a prompt: those of words that stand in it as a whole, outside of tags and not
  /// divided by markup.
  private func corrections(
    in prompt: String, syntax: PromptSyntax, _ vocabulary: PromptVocabulary,
    _ searched: inout PromptVocabulary.SearchedWords
  ) -> [PromptVocabulary.Correction] {
    let found = vocabulary.corrections(in: syntax.text(of: prompt), &searched)
    guard syntax != .plain, !found.isEmpty else { return found }
    let text = syntax.tags(in: prompt).reduce(prompt) { $0.replacing($1, with: " ") }
    let words = Set(text.lowercased().split { !$0.isLetter && !$0.isNumber }.map(String.init))
    return found.filter { words.contains($0.word) }
  }

  private func correctedWords(_ corrections: [PromptVocabulary.Correction]) -> [RequestAdvice] {
    corrections.prefix(Self.adviceLimit).map { correction in
      RequestAdvice(
        code: .correctedWord,
        message: "\(title) reads '\(correction.word)' as '\(correction.replacement)'")
    }
  }

  private func unknownWords(
    _ words: [String], _ vocabulary: PromptVocabulary
  ) -> [RequestAdvice] {
    var advice = words.prefix(Self.adviceLimit).map { word in
      let nearest = vocabulary.nearest(to: word).map { "; nearest: \($0)" } ?? ""
      return RequestAdvice(
        code: .unknownWord, message: "\(title) does not know '\(word.prefix(60))'\(nearest)")
    }
    let more = words.count - Self.adviceLimit
    if more > 0 {
      advice.append(
        RequestAdvice(
          code: .unknownWord,
          message: "\(title) does not know \(more) more word\(more == 1 ? "" : "s")"))
    }
    return advice
  }

  private func remark(
    on prompts: [String], _ code: RequestAdvice.Code, _ what: String
  ) -> [RequestAdvice] {
    guard let first = prompts.first else { return [] }
    let quoted = first.count > 60 ? "\(first.prefix(57))..." : first
    let words =
      prompts.count == 1
      ? "'\(quoted)' names" : "\(prompts.count) prompts, '\(quoted)' the first, name"
    return [RequestAdvice(code: code, message: "\(words) \(what)")]
  }

  /// Reasons why a size is likely to disappoint: the model was trained for another one.
  ///
  /// A model whose ``PromptVocabulary`` lists sizes is only good at those. For other models, a size
  /// is accepted without advice if its area is 0.5 to 2.25 times that of ``nativeSize`` and no side
  /// is longer than twice the side of a square of that area.
  ///
  /// - Parameters:
  ///   - width: the width of the image in pixels.
  ///   - height: the height of the image in pixels.
  public func advice(onWidth width: Int, height: Int) -> [RequestAdvice] {
    let native = nativeSize
    let area = Double(native.width * native.height)
    let ratio = Double(width) * Double(height) / area
    let suitable = vocabulary?.sizes ?? []
    if suitable.isEmpty {
      let longest = Double(max(width, height))
      guard !(0.5...2.25).contains(ratio) || longest > 2 * area.squareRoot() else { return [] }
    } else if suitable.contains(where: { $0 == (width, height) }) {
      return []
    }
    let trained =
      suitable.isEmpty
      ? "\(native.width)x\(native.height)"
      : suitable.map { "\($0.width)x\($0.height)" }.joined(separator: ", ")
    let cost = ratio >= 4 ? ", with \(Int(ratio.rounded())) times as many pixels to compute" : ""
    return [
      RequestAdvice(
        code: .unsuitableSize,
        message: "\(title) was trained for \(trained) pixels; "
          + "\(width)x\(height) is outside what it was trained for\(cost)")
    ]
  }

  /// The model's name in a sentence.
  private var title: String { name == "starter" ? "the starter" : "'\(name)'" }
}

extension PromptSyntax {
  /// The texts of a prompt's tags, such as `<lora:name:0.8>`, in order.
  func tags(in prompt: String) -> [String] {
    self == .plain ? [] : WeightedPrompt(parsing: prompt).networkTags.map(\.text)
  }

  /// The words of a prompt without weighting syntax.
  func text(of prompt: String) -> String {
    switch self {
    case .plain: prompt
    case .weighted:
      WeightedPrompt(parsing: prompt).sections.map { $0.map(\.text).joined() }
        .joined(separator: " ")
    }
  }
}
