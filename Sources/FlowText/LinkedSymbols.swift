/// The symbols of a word, which are joined with their neighbors in constant time.
struct LinkedSymbols {
  /// The symbols by position; a symbol that was joined to the one before it is empty.
  private(set) var texts: [String]
  private var following: [Int]
  private var preceding: [Int]

  init(_ symbols: [String]) {
    texts = symbols
    following = Array(1..<symbols.count + 1)
    preceding = Array(-1..<symbols.count - 1)
  }

  /// The position of the next symbol; nothing after the last, and after one that was joined.
  func next(after position: Int) -> Int? {
    guard !texts[position].isEmpty, following[position] < texts.count else { return nil }
    return following[position]
  }

  /// The position of the symbol before.
  func previous(before position: Int) -> Int? {
    preceding[position] >= 0 ? preceding[position] : nil
  }

  /// Joins a symbol with the next.
  ///
  /// - Precondition: there is a next one.
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

/// Pairs that may be joined, the lowest rank and then the leftmost first: a binary heap.
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

  /// The candidate that is next.
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
