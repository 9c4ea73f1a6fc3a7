extension PromptVocabulary {
  /// An unknown word and the known word that is read in its place.
  public struct Correction: Hashable, Sendable {
    /// The unknown word in lower case.
    public let word: String
    /// The known word.
    public let replacement: String
  }

  /// What unknown words may stand for, so that several prompts search for each word once.
  package struct SearchedWords {
    /// The number of words that are searched for in all prompts.
    private static let limit = 1000

    private var found: [String: [Candidate]] = [:]

    package init() {}

    /// The candidates for a word; none once too many other words were searched for.
    mutating func candidates(for word: String, in vocabulary: PromptVocabulary) -> [Candidate] {
      if let known = found[word] { return known }
      guard found.count < Self.limit else { return [] }
      let candidates = vocabulary.candidates(for: word)
      found[word] = candidates
      return candidates
    }
  }

  /// The words of a prompt that are read as others, because they look like typing errors; empty
  /// for a vocabulary without `correctsSpelling`.
  ///
  /// A word that makes a longer name with its neighbors is preferred: `ice crem` is read as
  /// `ice cream`. Other words of the language that the vocabulary lists, such as `lamp` beside
  /// `lamb`, are only replaced where swapped letters make such a name: `french fires` is read as
  /// `french fries`.
  ///
  /// - Parameter prompt: the prompt without weight markup.
  /// - Complexity: O(*n*) in the words of the vocabulary for each of at most 16 unknown words.
  public func corrections(in prompt: String) -> [Correction] {
    var searched = SearchedWords()
    return corrections(in: prompt, &searched)
  }

  /// The same, with what was found for other prompts.
  package func corrections(
    in prompt: String, _ searched: inout SearchedWords
  ) -> [Correction] {
    guard correctsSpelling else { return [] }
    let unknown = Set(unknownWords(in: prompt).prefix(Self.correctionLimit))
    guard !unknown.isEmpty else { return [] }
    let text = PromptWord.pieces(of: prompt)
    var places: [String: [Int]] = [:]
    for (index, word) in text.enumerated() where unknown.contains(word) {
      places[word, default: []].append(index)
    }
    return places.compactMap { word, places -> (Int, Correction)? in
      // The neighbors of a word that stands in several places say nothing about the others.
      let index = places.count == 1 ? places[0] : nil
      return replacement(of: word, at: index, in: text, &searched)
        .map { (places[0], Correction(word: word, replacement: $0)) }
    }.sorted { $0.0 < $1.0 }.map(\.1)
  }

  /// How many unknown words of a prompt are compared with the vocabulary.
  private static let correctionLimit = 16

  private func replacement(
    of word: String, at index: Int?, in text: [String], _ searched: inout SearchedWords
  ) -> String? {
    guard (3...40).contains(word.utf8.count), !words.contains(word) else { return nil }
    let isOtherWord = otherWords.contains(word)
    func key(_ found: Candidate) -> (Int, Int, Int, String) {
      let makesName = index.map { self.makesName(found.word, at: $0, in: text) } ?? false
      return (makesName ? 0 : 1, found.cost, found.rank, found.word)
    }
    return searched.candidates(for: word, in: self)
      .filter { !isOtherWord || $0.isAnagram }.map(key)
      .filter { $0.0 == 0 || !isOtherWord && wholes.contains($0.3) }.min { $0 < $1 }?.3
  }

  /// Whether a word in place of another makes a name of several words with its neighbors.
  private func makesName(_ word: String, at index: Int, in text: [String]) -> Bool {
    let first = max(0, index - phraseLimit + 1)
    var near = Array(text[first..<min(text.count, index + phraseLimit)])
    let place = index - first
    near[place] = word
    return (0...place).contains { start in
      (place + 1...near.count).contains { end in
        (2...max(phraseLimit, 2)).contains(end - start) && isPhrase(near[start..<end])
      }
    }
  }

  /// A prompt with its typing errors corrected; other characters stay as they are.
  ///
  /// ```swift
  /// let prompt = "a strawbery on blue"
  /// vocabulary.corrected(prompt, vocabulary.corrections(in: prompt))  // "a strawberry on blue"
  /// ```
  ///
  /// - Parameters:
  ///   - prompt: the prompt, with or without weight markup.
  ///   - corrections: the words to replace, each of them once.
  ///   - tags: texts in the prompt that stay, such as `<lora:name:0.8>`.
  public func corrected(
    _ prompt: String, _ corrections: [Correction], keeping tags: [String] = []
  ) -> String {
    guard !corrections.isEmpty else { return prompt }
    let replacements = Dictionary(
      corrections.map { ($0.word, $0.replacement) }, uniquingKeysWith: { first, _ in first })
    var (made, rest) = ("", prompt[...])
    for tag in tags {
      guard let place = rest.firstRange(of: tag) else { continue }
      made += Self.replacing(replacements, in: rest[..<place.lowerBound]) + tag
      rest = rest[place.upperBound...]
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
