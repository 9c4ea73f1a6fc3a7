/// The symbols of a word as a linked list, in which neighbors merge in constant time.
struct LinkedSymbols {
  /// The symbols by position; empty after a merge into the symbol before.
  private(set) var texts: [String]
  private var following: [Int]
  private var preceding: [Int]

  init(_ symbols: [String]) {
    texts = symbols
    following = Array(1..<symbols.count + 1)
    preceding = Array(-1..<symbols.count - 1)
  }

  /// Position of the next symbol; nil for the last symbol and for merged symbols.
  func next(after position: Int) -> Int? {
    guard !texts[position].isEmpty, following[position] < texts.count else { return nil }
    return following[position]
  }

  /// Position of the previous symbol.
  func previous(before position: Int) -> Int? {
    preceding[position] >= 0 ? preceding[position] : nil
  }

  /// Merges a symbol with the next.
  ///
  /// - Precondition: there is a next symbol.
  mutating func join(at position: Int) {
    let next = following[position]
    texts[position] += texts[next]
    texts[next] = ""
    following[position] = following[next]
    if following[next] < texts.count { preceding[following[next]] = position }
  }

  /// The symbols in order.
  var remaining: [String] { texts.filter { !$0.isEmpty } }
}

/// Candidate pairs in a binary heap: lowest rank first, then leftmost.
struct CandidateHeap {
  /// The pair that begins at a position.
  struct Candidate: Comparable {
    let rank: Int
    let position: Int

    static func < (lhs: Self, rhs: Self) -> Bool {
      (lhs.rank, lhs.position) < (rhs.rank, rhs.position)
    }
  }

  private var candidates: [Candidate] = []

  /// The number of candidates.
  var count: Int { candidates.count }

  /// The next candidate.
  var first: Candidate? { candidates.first }

  mutating func insert(_ candidate: Candidate) {
    candidates.append(candidate)
    var child = candidates.count - 1
    while child > 0, candidates[child] < candidates[(child - 1) / 2] {
      candidates.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  mutating func removeFirst() {
    candidates.swapAt(0, candidates.count - 1)
    candidates.removeLast()
    var parent = 0
    while true {
      let children = [2 * parent + 1, 2 * parent + 2].filter { $0 < candidates.count }
      guard let least = children.min(by: { candidates[$0] < candidates[$1] }),
        candidates[least] < candidates[parent]
      else { return }
      candidates.swapAt(parent, least)
      parent = least
    }
  }
}
