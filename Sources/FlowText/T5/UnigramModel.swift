/// A vocabulary of pieces with scores.
///
/// A word is split into the pieces of the highest total score (Kudo, 2018, arXiv:1804.10959).
struct UnigramModel: Sendable {
  /// A piece of the vocabulary; its token is its index.
  struct Piece: Sendable {
    let text: String
    /// The logarithm of its probability; 0 for pieces that no text may contain.
    let score: Double
  }

  /// How far the score of an uncovered character is below the lowest score.
  private static let unknownPenalty = 10.0

  private let scores: [Double]
  private let unknown: Int
  private let unknownScore: Double
  /// The trie of the pieces' bytes: the child of a node by byte.
  ///
  /// Node 0 is the root.
  private var next: [Step: Int32] = [:]
  /// The token whose piece ends at a node; -1 if none does.
  private var tokens: [Int32] = [-1]

  private struct Step: Hashable {
    let node: Int32
    let byte: UInt8
  }

  /// - Parameters:
  ///   - pieces: the vocabulary; of two pieces with equal text, the later wins.
  ///   - unknown: the token of characters that no piece covers.
  init(_ pieces: [Piece], unknown: Int) {
    scores = pieces.map(\.score)
    self.unknown = unknown
    unknownScore = (scores.min() ?? 0) - Self.unknownPenalty
    for (token, piece) in pieces.enumerated() {
      var node: Int32 = 0
      for byte in piece.text.utf8 {
        let step = Step(node: node, byte: byte)
        if let known = next[step] {
          node = known
        } else {
          node = Int32(tokens.count)
          next[step] = node
          tokens.append(-1)
        }
      }
      tokens[Int(node)] = Int32(token)
    }
  }

  /// The best segmentation up to a position in a word.
  private struct Node {
    var score = 0.0
    /// Start of its last piece; -1 if the position is unreachable.
    var start = -1
    var token = -1
  }

  /// The tokens of a word; adjacent uncovered characters become one token.
  ///
  /// Of two segmentations of equal score the first wins, by the start and then the length of the
  /// last piece.
  ///
  /// - Complexity: O(*n* * *m*) in the bytes of the word and of the longest piece.
  func encode(_ word: [UInt8]) -> [Int] {
    guard !word.isEmpty else { return [] }
    var nodes = [Node](repeating: Node(), count: word.count + 1)
    var start = 0
    while start < word.count {
      let score = nodes[start].score
      let width = Self.width(ofScalarBeginningWith: word[start])
      let end = min(start + width, word.count)
      var isCovered = false
      var node: Int32 = 0
      var position = start
      while position < word.count, let following = next[Step(node: node, byte: word[position])] {
        node = following
        position += 1
        let token = Int(tokens[Int(node)])
        guard token >= 0 else { continue }
        Self.offer(score + scores[token], token, from: start, to: &nodes[position])
        isCovered = isCovered || position == end
      }
      if !isCovered { Self.offer(score + unknownScore, unknown, from: start, to: &nodes[end]) }
      start = end
    }
    return tokens(of: word, along: nodes)
  }

  private static func offer(
    _ score: Double, _ token: Int, from start: Int, to node: inout Node
  ) {
    if node.start < 0 || score > node.score {
      node = Node(score: score, start: start, token: token)
    }
  }

  /// The tokens of the best segmentation, from its end.
  private func tokens(of word: [UInt8], along nodes: [Node]) -> [Int] {
    var reversed: [Int] = []
    var end = word.count
    var unknownEnd: Int?
    func endUnknown(at start: Int) {
      guard let end = unknownEnd else { return }
      reversed.append(token(of: word[start..<end]) ?? unknown)
      unknownEnd = nil
    }
    while end > 0 {
      let node = nodes[end]
      if node.token == unknown {
        unknownEnd = unknownEnd ?? end
      } else {
        endUnknown(at: end)
        reversed.append(node.token)
      }
      end = node.start
    }
    endUnknown(at: 0)
    return reversed.reversed()
  }

  /// The token whose piece equals a text.
  private func token(of text: ArraySlice<UInt8>) -> Int? {
    var node: Int32 = 0
    for byte in text {
      guard let following = next[Step(node: node, byte: byte)] else { return nil }
      node = following
    }
    let token = Int(tokens[Int(node)])
    return token < 0 ? nil : token
  }

  private static func width(ofScalarBeginningWith byte: UInt8) -> Int {
    switch byte {
    case ..<0xc0: 1
    case ..<0xe0: 2
    case ..<0xf0: 3
    default: 4
    }
  }
}
