/// Byte-level byte-pair encoding with a mark at the end of words, as CLIP uses it.
///
/// Sennrich et al., 2016 (arXiv:1508.07909); the printable stand-ins for bytes are GPT-2's.
struct BytePairEncoding: Sendable {
  private struct Pair: Hashable {
    let left: String
    let right: String
  }

  private let vocabulary: [String: Int]
  private let ranks: [Pair: Int]
  private let unknown: Int

  init(vocabulary: [String: Int], merges: [(String, String)], unknown: Int) {
    self.vocabulary = vocabulary
    self.unknown = unknown
    var ranks: [Pair: Int] = [:]
    for (rank, merge) in merges.enumerated() {
      ranks[Pair(left: merge.0, right: merge.1)] = rank
    }
    self.ranks = ranks
  }

  /// The tokens of one word, whose bytes are joined in the order of the merges' ranks.
  func encode(_ word: String) -> [Int] {
    var symbols = word.utf8.map { String(Self.byteCharacters[Int($0)]) }
    guard !symbols.isEmpty else { return [] }
    symbols[symbols.count - 1] += "</w>"
    while let best = bestPair(in: symbols) {
      var merged: [String] = []
      merged.reserveCapacity(symbols.count)
      var index = 0
      while index < symbols.count {
        if index + 1 < symbols.count, symbols[index] == best.left,
          symbols[index + 1] == best.right
        {
          merged.append(best.left + best.right)
          index += 2
        } else {
          merged.append(symbols[index])
          index += 1
        }
      }
      symbols = merged
    }
    return symbols.map { vocabulary[$0] ?? unknown }
  }

  private func bestPair(in symbols: [String]) -> Pair? {
    zip(symbols, symbols.dropFirst())
      .compactMap { left, right -> (pair: Pair, rank: Int)? in
        let pair = Pair(left: left, right: right)
        return ranks[pair].map { (pair, $0) }
      }
      .min { $0.rank < $1.rank }?.pair
  }

  /// A printable character for each byte: itself where it is printable, else one from 256 on.
  private static let byteCharacters: [Unicode.Scalar] = {
    let printable = Set(Array(33...126) + Array(161...172) + Array(174...255))
    var next: UInt32 = 256
    return (0..<256).map { byte in
      if printable.contains(byte) { return Unicode.Scalar(UInt8(byte)) }
      defer { next += 1 }
      return Unicode.Scalar(next) ?? "?"
    }
  }()
}
