extension PromptVocabulary {
  /// A known word that an unknown one may stand for.
  struct Candidate {
    /// The spelling of the known word.
    let word: String
    /// Twice the number of edits between the spellings, or between the sounds and one more.
    let cost: Int
    /// Among words of equal cost, the smaller the likelier: swapped letters before others, the same
    /// first letter before another, a name before a word that draws nothing, and that before a part
    /// of a name.
    let rank: Int
    /// Whether it has the same letters in another order.
    let isAnagram: Bool
    /// Whether the word is a phrase by itself, not only a part of some.
    let isWhole: Bool
  }

  /// The suggestion for an unknown word: its other grammatical number, the shortest name that
  /// contains the word, or else the word whose spelling or sound is close enough for a typing
  /// error.
  ///
  /// - Complexity: O(*n*) in the words of the vocabulary.
  public func nearest(to word: String) -> String? {
    let word = word.lowercased()
    guard (2...40).contains(word.utf8.count) else { return nil }
    if let other = PromptWord.otherNumbers(of: word).first(where: wholes.contains) { return other }
    if words.contains(word) {
      let names = phraseTexts.filter { PromptWord.pieces(of: $0).contains(word) }
      return names.min { ($0.count, $0) < ($1.count, $1) }
    }
    // Part of a name draws little by itself; only a long word is likely to be intended.
    return candidates(for: word).filter { $0.isWhole || $0.word.utf8.count >= 6 }
      .min { ($0.cost, $0.rank, $0.word) < ($1.cost, $1.rank, $1.word) }?.word
  }

  /// The known words whose spelling or sound is close enough for a typing error.
  func candidates(for word: String) -> [Candidate] {
    let written = Spelling(word)
    let sorted = written.letters.sorted()
    return spellings.compactMap { known in
      // The first two letters are often swapped, but the first one is rarely another.
      let hasSameStart =
        known.letters.first == written.letters.first
        || known.letters.prefix(2) == written.letters.prefix(2).reversed()[...]
      let limit = Spelling.costLimit(written.letters.count, hasSameStart: hasSameStart)
      guard let cost = known.cost(to: written, limit: limit) else { return nil }
      let isWhole = wholes.contains(known.word)
      let isAnagram = known.letters.sorted() == sorted
      let rank =
        (isAnagram ? 0 : 6) + (hasSameStart ? 0 : 3)
        + (isWhole ? ignored.contains(known.word) ? 1 : 0 : 2)
      return Candidate(
        word: known.word, cost: cost, rank: rank, isAnagram: isAnagram, isWhole: isWhole)
    }
  }
}
