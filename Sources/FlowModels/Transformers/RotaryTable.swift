internal import FlowCore
internal import FlowGraph

#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

/// The rotary position embedding of tokens with several position axes (Su et al., 2021,
/// arXiv:2104.09864): each axis rotates its own part of a head, in adjacent pairs.
struct RotaryTable {
  /// The cosines, `[tokens, head width]`, each angle in both elements of its pair.
  let cosine: Value
  /// The sines, likewise.
  let sine: Value

  /// Computes a table in double precision.
  ///
  /// - Parameters:
  ///   - positions: the position of each token on every axis.
  ///   - axes: the number of elements of a head that each axis rotates, even.
  ///   - theta: the base of the frequencies: `theta^(-2i / elements)` for the i-th pair of an axis.
  ///   - graph: the graph of the table.
  init(positions: [[Int]], axes: [Int], theta: Double, in graph: Graph) {
    let frequencies = axes.map { width in
      (0..<width / 2).map { pow(theta, -2 * Double($0) / Double(width)) }
    }
    let shape: Shape = [positions.count, axes.reduce(0, +)]
    var (cosines, sines): ([Float], [Float]) = ([], [])
    cosines.reserveCapacity(shape.elementCount)
    sines.reserveCapacity(shape.elementCount)
    for position in positions {
      precondition(position.count == axes.count, "a position has one number for each axis")
      for (coordinate, frequencies) in zip(position, frequencies) {
        for frequency in frequencies {
          let angle = Double(coordinate) * frequency
          for _ in 0..<2 {
            cosines.append(Float(cos(angle)))
            sines.append(Float(sin(angle)))
          }
        }
      }
    }
    cosine = graph.constant(cosines, shape: shape)
    sine = graph.constant(sines, shape: shape)
  }

  /// A table computed in the graph, each tensor broadcast to `[rows, heads, tokens, width]`.
  init(cosine: Value, sine: Value) {
    self.cosine = cosine
    self.sine = sine
  }

  /// The table of a range of tokens.
  ///
  /// - Throws: a `GraphError` for a range out of bounds.
  func tokens(_ part: Range<Int>) throws(GraphError) -> RotaryTable {
    func some(of table: Value) throws(GraphError) -> Value {
      try table.sliced(
        axis: table.shape.rank - 2, from: part.lowerBound, to: part.upperBound)
    }
    return RotaryTable(cosine: try some(of: cosine), sine: try some(of: sine))
  }

  /// The heads `[rows, heads, tokens, width]` rotated by their positions.
  ///
  /// - Throws: a `GraphError` for heads of another width or number of tokens.
  func callAsFunction(_ heads: Value) throws(GraphError) -> Value {
    try heads.rotated(cosine: cosine, sine: sine, pairs: .adjacent)
  }
}
