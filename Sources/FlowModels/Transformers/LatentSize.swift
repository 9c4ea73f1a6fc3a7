internal import FlowCore
internal import FlowGraph

/// The extents of an image's latents, or of its patches.
package struct LatentSize: Hashable, Sendable {
  package let height: Int
  package let width: Int

  /// The extents of `[rows, channels, height, width]`.
  init(of latents: Value) {
    (height, width) = (latents.shape[2], latents.shape[3])
  }

  package init(height: Int, width: Int) {
    self.height = height
    self.width = width
  }

  /// The number of positions.
  package var count: Int { height * width }

  /// The size in square patches.
  ///
  /// - Throws: a `GraphError` if an extent is not a multiple of the patch side.
  func patches(side: Int) throws(GraphError) -> LatentSize {
    guard height.isMultiple(of: side), width.isMultiple(of: side) else {
      throw GraphError(
        code: .shapeMismatch,
        message:
          "latents of \(height) x \(width) cannot be split into patches of \(side) x \(side)")
    }
    return LatentSize(height: height / side, width: width / side)
  }
}
