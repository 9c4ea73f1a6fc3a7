import Testing

@testable import FlowText

/// The encoding against its definition: join the best pair wherever it occurs, again and again.
@Suite struct BytePairEncodingTests {
  private static func defined(_ word: String, _ merges: [(String, String)]) -> [String] {
    var symbols = word.map { String($0) }
    symbols[symbols.count - 1] += "</w>"
    while true {
      let pairs = Array(zip(symbols, symbols.dropFirst()))
      let ranks = pairs.compactMap { pair in merges.firstIndex { $0 == pair } }
      guard let best = ranks.min().map({ merges[$0] }) else { return symbols }
      var joined: [String] = []
      var index = 0
      while index < symbols.count {
        if index + 1 < symbols.count, (symbols[index], symbols[index + 1]) == best {
          joined.append(best.0 + best.1)
          index += 2
        } else {
          joined.append(symbols[index])
          index += 1
        }
      }
      symbols = joined
    }
  }

  /// An encoding whose token of a text is its place among all texts that merges can make.
  private static func encoding(
    _ merges: [(String, String)]
  ) -> (encoding: BytePairEncoding, texts: [String]) {
    let letters = "abc".map { String($0) }
    let texts = Array(Set(letters + letters.map { $0 + "</w>" } + merges.map { $0.0 + $0.1 }))
    let vocabulary = Dictionary(uniqueKeysWithValues: texts.enumerated().map { ($1, $0) })
    return (BytePairEncoding(vocabulary: vocabulary, merges: merges, unknown: -1), texts)
  }

  private static let merges: [[(String, String)]] = [
    [("a", "a"), ("aa", "aa"), ("aa", "a</w>")],
    // Two ways to one text, and a pair of it that ranks before one of them.
    [("a", "bc"), ("abc", "ab"), ("ab", "c"), ("a", "b"), ("b", "c")],
    [("b", "c"), ("a", "b"), ("abc", "a"), ("ab", "c"), ("c", "a"), ("ca", "b</w>")],
    [],
  ]

  @Test("Every word of up to seven letters is encoded as defined", arguments: 0..<merges.count)
  func words(index: Int) {
    let merges = Self.merges[index]
    let (encoding, texts) = Self.encoding(merges)
    var words = ["a", "b", "c"]
    for _ in 1..<8 {
      for word in words {
        #expect(encoding.encode(word).map { texts[$0] } == Self.defined(word, merges))
      }
      words = words.flatMap { word in ["a", "b", "c"].map { word + $0 } }
    }
  }

  @Test("A long word of many merges is encoded")
  func long() {
    let merges = Self.merges[0]
    let (encoding, texts) = Self.encoding(merges)
    let tokens = encoding.encode(String(repeating: "a", count: 4001))
    #expect(tokens.count == 1001 && texts[tokens[0]] == "aaaa" && texts[tokens[1000]] == "a</w>")
  }

  @Test("Candidates come by rank, then from the left")
  func heap() {
    var heap = CandidateHeap()
    let ranks = [5, 3, 9, 3, 1, 7, 3, 0, 5]
    for (position, rank) in ranks.enumerated() {
      heap.insert(.init(rank: rank, position: position))
    }
    var found: [CandidateHeap.Candidate] = []
    while let first = heap.first {
      found.append(first)
      heap.removeFirst()
    }
    #expect(found == found.sorted() && found.count == ranks.count && heap.count == 0)
  }
}
