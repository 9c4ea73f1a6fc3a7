internal import FlowCore

/// The rotation of ConvRot: groups of a row are multiplied by a regular Hadamard matrix, which
/// spreads single large weights over their group before the row is rounded.
///
/// The matrix is a Kronecker power of `[[1, 1, 1, -1], [1, 1, -1, 1], [1, -1, 1, 1],
/// [-1, 1, 1, 1]] / 2`: symmetric, and its own inverse.
enum HadamardRotation {
  /// Whether a group size is supported: powers of 4, up to the largest in use.
  static func canTurn(_ size: Int) -> Bool { [4, 16, 64, 256, 1024].contains(size) }

  /// Applies the rotation to the groups of a row; the rotation is its own inverse.
  ///
  /// - Precondition: the size is a power of 4 that divides the row's width.
  static func turn(_ row: inout [Float], groupSize: Int) {
    precondition(canTurn(groupSize) && row.count.isMultiple(of: groupSize), "no such rotation")
    var row = row.mutableSpan
    var stride = 1
    while stride < groupSize {
      for start in Swift.stride(from: 0, to: row.count, by: 4 * stride) {
        for first in start..<start + stride {
          let (a, b) = (row[first], row[first + stride])
          let (c, d) = (row[first + 2 * stride], row[first + 3 * stride])
          let half = ((a + b) + (c + d)) / 2
          row[first] = half - d
          row[first + stride] = half - c
          row[first + 2 * stride] = half - b
          row[first + 3 * stride] = half - a
        }
      }
      stride *= 4
    }
  }

  /// The matrix, row by row.
  static func matrix(_ size: Int) -> [Float] {
    var scalars = [Float](repeating: 0, count: size * size)
    for index in 0..<size { scalars[index * size + index] = 1 }
    turn(&scalars, groupSize: size)
    return scalars
  }
}
