/// A word as its letters and as its sound.
package struct Spelling: Sendable {
  let word: String
  let letters: [UInt8]
  let sound: [UInt8]

  init(_ word: String) {
    self.word = word
    letters = Array(word.utf8)
    sound = Self.sound(of: letters)
  }

  /// Twice the number of edits between two words, or between their sounds and one more, whichever
  /// is less; nil if it is above a limit.
  func cost(to other: Spelling, limit: Int) -> Int? {
    func edits(_ left: [UInt8], _ right: [UInt8]) -> Int {
      // A difference of lengths alone is that many edits.
      let least = abs(left.count - right.count)
      return 2 * least > limit ? least : Self.distance(left, right)
    }
    let cost = min(2 * edits(letters, other.letters), 2 * edits(sound, other.sound) + 1)
    return cost <= limit ? cost : nil
  }

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

  /// The edit distance of two words: insertions, deletions, substitutions and swaps of neighbors
  /// (optimal string alignment).
  package static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
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
