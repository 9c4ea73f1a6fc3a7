extension PromptVocabulary {
  /// An unknown word and the known word that is read in its place.
  public struct Correction: Hashable, Sendable {
    /// The unknown word in lower case.
    public let word: String
    /// The known word.
    public let replacement: String
  }

  /// The words of a prompt that are read as others, because they look like typing errors; empty
  /// for a vocabulary without `correctsSpelling`.
  ///
  /// A word that makes a longer name with its neighbors is preferred: `ice crem` is read as
  /// `ice cream`. Other words of the language that the vocabulary lists, such as `lamp` beside
  /// `lamb`, are only replaced in such a name: `cat fate` is read as `cat face`.
  ///
  /// - Parameter prompt: the prompt without weight markup.
  /// - Complexity: O(*n*) in the words of the vocabulary for each unknown word.
  public func corrections(in prompt: String) -> [Correction] {
    guard correctsSpelling else { return [] }
    let unknown = Set(unknownWords(in: prompt).prefix(Self.correctionLimit))
    guard !unknown.isEmpty else { return [] }
    let text = PromptWord.pieces(of: prompt)
    var corrections: [Correction] = []
    for (index, word) in text.enumerated() where unknown.contains(word) {
      guard !corrections.contains(where: { $0.word == word }),
        let replacement = replacement(of: word, at: index, in: text)
      else { continue }
      corrections.append(Correction(word: word, replacement: replacement))
    }
    return corrections
  }

  /// How many unknown words of a prompt are compared with the vocabulary.
  private static let correctionLimit = 16

  private func replacement(of word: String, at index: Int, in text: [String]) -> String? {
    guard (3...40).contains(word.utf8.count), !words.contains(word) else { return nil }
    let isOtherWord = otherWords.contains(word)
    func key(_ found: Candidate) -> (Int, Int, Int, String) {
      (makesName(found.word, at: index, in: text) ? 0 : 1, found.cost, found.rank, found.word)
    }
    return candidates(for: word).filter { !isOtherWord || $0.cost <= 2 }.map(key)
      .filter { $0.0 == 0 || !isOtherWord && wholes.contains($0.3) }.min { $0 < $1 }?.3
  }

  /// Whether a word in place of another makes a name of several words with its neighbors.
  private func makesName(_ word: String, at index: Int, in text: [String]) -> Bool {
    var text = text
    text[index] = word
    return (0...index).suffix(phraseLimit).contains { start in
      (index + 1...text.count).prefix { $0 - start <= phraseLimit }
        .contains { $0 - start > 1 && isPhrase(text[start..<$0]) }
    }
  }

  /// A prompt with its typing errors corrected; other characters and tags stay as they are.
  ///
  /// ```swift
  /// let prompt = "a strawbery on blue"
  /// vocabulary.corrected(prompt, vocabulary.corrections(in: prompt))  // "a strawberry on blue"
  /// ```
  ///
  /// - Parameters:
  ///   - prompt: the prompt, with or without weight markup.
  ///   - corrections: the words to replace, each of them once.
  public func corrected(_ prompt: String, _ corrections: [Correction]) -> String {
    guard !corrections.isEmpty else { return prompt }
    let replacements = Dictionary(
      corrections.map { ($0.word, $0.replacement) }, uniquingKeysWith: { first, _ in first })
    var (made, rest) = ("", prompt[...])
    // Tags such as `<lora:name:0.8>` name files.
    while let tag = rest.firstRange(of: /<[^<>]*>/) {
      made += Self.replacing(replacements, in: rest[..<tag.lowerBound]) + rest[tag]
      rest = rest[tag.upperBound...]
    }
    return made + Self.replacing(replacements, in: rest)
  }

  private static func replacing(
    _ replacements: [String: String], in text: Substring
  ) -> String {
    var (made, word) = ("", "")
    for character in text {
      if character.isLetter || character.isNumber {
        word.append(character)
      } else {
        made += replacements[word.lowercased()] ?? word
        made.append(character)
        word = ""
      }
    }
    return made + (replacements[word.lowercased()] ?? word)
  }
}
