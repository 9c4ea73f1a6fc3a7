internal import FlowCore
internal import FlowGraph

#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

/// The cosines and sines of a rotary position embedding over several axes (Su et al., 2021,
/// arXiv:2104.09864), for pairs of adjacent elements.
///
/// Each axis turns a run of a head's elements: pair j of a run of width d turns by
/// `position / theta^(2j/d)`. Angles are computed in double precision, as diffusers does.
struct RotaryTable {
  /// The cosines, `[tokens, width]`, each twice in place.
  let cosine: Value
  /// The sines, likewise.
  let sine: Value

  /// - Parameters:
  ///   - positions: the position of each token on each axis.
  ///   - axes: the elements of a head that each axis turns, even numbers.
  ///   - theta: the base of the frequencies.
  ///   - graph: the graph that the constants are for.
  init(positions: [[Int]], axes: [Int], theta: Double, in graph: Graph) {
    let width = axes.reduce(0, +)
    var (cosines, sines): ([Float], [Float]) = ([], [])
    cosines.reserveCapacity(positions.count * width)
    sines.reserveCapacity(positions.count * width)
    for token in positions {
      precondition(token.count == axes.count, "a token has a position on each axis")
      for (position, axis) in zip(token, axes) {
        for pair in 0..<axis / 2 {
          let angle = Double(position) / pow(theta, Double(2 * pair) / Double(axis))
          let (cosine, sine) = (Float(cos(angle)), Float(sin(angle)))
          cosines += [cosine, cosine]
          sines += [sine, sine]
        }
      }
    }
    let shape: Shape = [positions.count, width]
    cosine = graph.constant(cosines, shape: shape)
    sine = graph.constant(sines, shape: shape)
  }

  /// The positions of the places of an image, row by row, behind what all of them share.
  static func positions(of image: LatentSize, behind shared: [Int]) -> [[Int]] {
    (0..<image.height).flatMap { row in (0..<image.width).map { shared + [row, $0] } }
  }
}

extension Value {
  /// The value with each head's pairs turned to their tokens' positions.
  ///
  /// The value is `[rows, heads, tokens, width]`.
  func rotated(by table: RotaryTable) throws(GraphError) -> Value {
    try rotated(cosine: table.cosine, sine: table.sine, pairs: .adjacent)
  }
}

/// The extents of an image's latents, or of its tokens.
struct LatentSize: Hashable {
  let height: Int
  let width: Int

  /// The number of places.
  var count: Int { height * width }

  /// Rows and columns of patches of a side.
  ///
  /// - Throws: a `GraphError` where an extent is no multiple of the side.
  func patches(of side: Int) throws(GraphError) -> LatentSize {
    guard height.isMultiple(of: side), width.isMultiple(of: side) else {
      throw GraphError(
        code: .shapeMismatch,
        message: "latents of \(height) x \(width) cannot be cut into patches of \(side) x \(side)")
    }
    return LatentSize(height: height / side, width: width / side)
  }
}
