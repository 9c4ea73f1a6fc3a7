extension PromptVocabulary {
  /// The suggestion for an unknown word: its other grammatical number, the shortest name that
  /// contains the word, or else the word whose spelling or sound is close enough for a typing
  /// error.
  ///
  /// - Complexity: O(*n*) in the words of the vocabulary.
  public func nearest(to word: String) -> String? {
    let word = word.lowercased()
    let written = Array(word.utf8)
    guard (2...40).contains(written.count) else { return nil }
    let phrases = subjects.flatMap { [$0.name] + $0.otherNames }
    let wholes = Set(phrases).union(backgrounds).union(ignored)
    if let other = PromptWord.otherNumbers(of: word).first(where: wholes.contains) { return other }
    if words.contains(word) {
      let names = phrases.filter { PromptWord.pieces(of: $0).contains(word) }
      return names.min { ($0.count, $0) < ($1.count, $1) }
    }
    let sound = Spelling.sound(of: written)
    var best: (cost: Int, rank: Int, word: String)?
    for candidate in words.union(ignored) where Spelling.isWord(candidate) {
      let letters = Array(candidate.utf8)
      // Part of a name draws little by itself; only a long word is likely to be intended.
      let isWhole = wholes.contains(candidate)
      guard isWhole || letters.count >= 6, abs(letters.count - written.count) <= 4 else { continue }
      let hasSameStart = letters.first == written.first
      let cost = min(
        2 * Spelling.distance(written, letters),
        2 * Spelling.distance(sound, Spelling.sound(of: letters)) + 1)
      guard cost <= Spelling.costLimit(written.count, hasSameStart: hasSameStart) else { continue }
      let found = (cost, (hasSameStart ? 0 : 2) + (isWhole ? 0 : 1), candidate)
      if best.map({ found < $0 }) ?? true { best = found }
    }
    return best?.word
  }
}

/// Distances between spellings.
enum Spelling {
  /// Twice the maximum distance of a typing error for a word of `count` letters; one more if only
  /// the sound is compared.
  ///
  /// Typing errors rarely change the first letter.
  static func costLimit(_ count: Int, hasSameStart: Bool) -> Int {
    guard hasSameStart else { return count >= 5 ? 2 : 1 }
    return count <= 6 ? 2 : count <= 9 ? 4 : 6
  }

  /// Whether a word is worth suggesting: three or more letters.
  static func isWord(_ word: String) -> Bool {
    word.utf8.count >= 3 && word.utf8.allSatisfy { $0 >= UInt8(ascii: "a") }
  }

  /// The edit distance of two words: insertions, deletions, substitutions and swaps of neighbors.
  static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
    var beforeLast: [Int] = []
    var last = Array(0...right.count)
    for row in left.indices {
      var next = [row + 1]
      for column in right.indices {
        let isSame = left[row] == right[column]
        var cost = min(last[column + 1] + 1, next[column] + 1, last[column] + (isSame ? 0 : 1))
        if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
          cost = min(cost, beforeLast[column - 1] + 1)
        }
        next.append(cost)
      }
      (beforeLast, last) = (last, next)
    }
    return last[right.count]
  }

  /// A spelling shared by words of the same sound: `foks` and `fox`, `elefant` and `elephant`.
  static func sound(of word: [UInt8]) -> [UInt8] {
    var text = String(decoding: word, as: UTF8.self)
    for (written, heard) in [
      ("ph", "f"), ("ck", "k"), ("ks", "x"), ("cs", "x"), ("qu", "kw"), ("ce", "se"), ("ci", "si"),
      ("c", "k"), ("z", "s"), ("y", "i"),
    ] { text = text.replacing(written, with: heard) }
    var letters: [UInt8] = []
    for letter in text.utf8 where letter != letters.last { letters.append(letter) }
    return letters
  }
}
