/// Byte-level byte-pair encoding, with CLIP's end-of-word marker or without one.
///
/// Sennrich et al., 2016 (arXiv:1508.07909); the printable substitutes for bytes are GPT-2's.
struct BytePairEncoding: Sendable {
  private struct Pair: Hashable {
    let left: String
    let right: String
  }

  private let vocabulary: [String: Int]
  private let ranks: [Pair: Int]
  private let unknown: Int
  private let endOfWord: String

  /// - Parameters:
  ///   - vocabulary: the token ids by text.
  ///   - merges: the pairs to merge, in order of rank.
  ///   - unknown: the token of symbols that are not in the vocabulary.
  ///   - endOfWord: the marker after the last byte of a word.
  init(
    vocabulary: [String: Int], merges: [(String, String)], unknown: Int,
    endOfWord: String = "</w>"
  ) {
    self.vocabulary = vocabulary
    self.unknown = unknown
    self.endOfWord = endOfWord
    var ranks: [Pair: Int] = [:]
    for (rank, merge) in merges.enumerated() {
      ranks[Pair(left: merge.0, right: merge.1)] = rank
    }
    self.ranks = ranks
  }

  /// The tokens of one word.
  ///
  /// Its bytes are merged in the order of the merges' ranks.
  ///
  /// - Complexity: O(*n* log *n*) in the bytes of the word.
  func encode(_ word: String) -> [Int] {
    var symbols = word.utf8.map { String(Self.byteCharacters[Int($0)]) }
    guard !symbols.isEmpty else { return [] }
    symbols[symbols.count - 1] += endOfWord
    return joined(symbols).map { vocabulary[$0] ?? unknown }
  }

  /// Merges all occurrences of the pair of lowest rank, left to right, until no pair has a rank.
  private func joined(_ symbols: [String]) -> [String] {
    var word = LinkedSymbols(symbols)
    var candidates = CandidateHeap()
    func currentRank(at position: Int) -> Int? {
      guard let next = word.next(after: position) else { return nil }
      return ranks[Pair(left: word.texts[position], right: word.texts[next])]
    }
    func propose(_ position: Int) {
      if let rank = currentRank(at: position) {
        candidates.insert(.init(rank: rank, position: position))
      }
    }
    for position in symbols.indices { propose(position) }
    while let lowest = candidates.first?.rank {
      // Merges all pairs of one rank before the pairs that they create, even if those rank lower.
      var changed: [Int] = []
      while let candidate = candidates.first, candidate.rank == lowest {
        candidates.removeFirst()
        // An earlier merge may have removed the pair.
        guard currentRank(at: candidate.position) == lowest else { continue }
        word.join(at: candidate.position)
        changed.append(candidate.position)
      }
      for position in changed {
        if let previous = word.previous(before: position) { propose(previous) }
        propose(position)
      }
    }
    return word.remaining
  }

  /// A printable character for each byte: the byte itself if it is printable, else one from 256 up.
  static let byteCharacters: [Unicode.Scalar] = {
    let printable = Set(Array(33...126) + Array(161...172) + Array(174...255))
    var next: UInt32 = 256
    return (0..<256).map { byte in
      if printable.contains(byte) { return Unicode.Scalar(UInt8(byte)) }
      defer { next += 1 }
      return Unicode.Scalar(next) ?? "?"
    }
  }()
}
