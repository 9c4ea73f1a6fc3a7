import Testing

@testable import FlowText

/// The search for the best pieces against its definition: of all ways to split a word, the one of the
/// highest score.
@Suite struct UnigramModelTests {
  private static let pieces: [UnigramModel.Piece] = [
    .init(text: "?", score: 0), .init(text: "a", score: -2.31), .init(text: "ab", score: -3.17),
    .init(text: "bc", score: -2.93), .init(text: "cab", score: -4.71),
    .init(text: "c", score: -3.53), .init(text: "abca", score: -5.19),
    .init(text: "dé", score: -4.03), .init(text: "éb", score: -1.87),
  ]
  private static let unknown = 0

  /// The best way to split a word, each way looked at; scores that are equal do not occur.
  private static func defined(_ word: ArraySlice<Character>) -> (score: Double, tokens: [Int]) {
    guard let first = word.first else { return (0, []) }
    var best: (score: Double, tokens: [Int])?
    func offer(_ score: Double, _ token: Int, _ length: Int) {
      let rest = defined(word.dropFirst(length))
      if score + rest.score > best?.score ?? -.infinity {
        best = (score + rest.score, [token] + rest.tokens)
      }
    }
    for (token, piece) in pieces.enumerated() where word.starts(with: piece.text) {
      offer(piece.score, token, piece.text.count)
    }
    if !pieces.contains(where: { $0.text == String(first) }) {
      offer((pieces.map(\.score).min() ?? 0) - 10, unknown, 1)
    }
    return best ?? (0, [])
  }

  @Test("Every word of up to five letters is split as defined, neighbors without a piece as one")
  func words() {
    let model = UnigramModel(Self.pieces, unknown: Self.unknown)
    var words: [[Character]] = [[]]
    for _ in 0...5 {
      for word in words {
        var expected: [Int] = []
        for token in Self.defined(word[...]).tokens
        where token != Self.unknown || expected.last != Self.unknown {
          expected.append(token)
        }
        #expect(model.encode(Array(String(word).utf8)) == expected, "\(String(word))")
      }
      words = words.flatMap { word in "abcdé".map { word + [$0] } }
    }
  }

  @Test("Of two ways of one score the one whose last piece begins first counts")
  func ties() {
    let model = UnigramModel(
      [
        .init(text: "?", score: 0), .init(text: "a", score: -1), .init(text: "bc", score: -2),
        .init(text: "ab", score: -2), .init(text: "c", score: -1), .init(text: "c", score: -1),
      ], unknown: 0)
    #expect(model.encode(Array("abc".utf8)) == [1, 2])
    // Of two pieces of one text the later counts.
    #expect(model.encode(Array("c".utf8)) == [5])
  }

  @Test("A long word is cut in time that grows with its length")
  func long() {
    let model = UnigramModel(Self.pieces, unknown: Self.unknown)
    let word = [UInt8](repeating: UInt8(ascii: "a"), count: 100_000)
    #expect(model.encode(word) == [Int](repeating: 1, count: 100_000))
  }
}
