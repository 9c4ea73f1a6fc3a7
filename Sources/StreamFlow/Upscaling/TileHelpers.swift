package import FlowCore

/// Finds helpers for the tiles of an image, such as the idle workers of a fleet.
package protocol TileHelpers: Sendable {
  /// The time from which sharing an image is worth asking for helpers.
  var leastTime: Duration { get }

  /// The helpers that are free now.
  ///
  /// - Parameter fingerprint: identifies the upscaler and how it computes
  ///   (``Upscaler/fingerprint()``); helpers have the same.
  func free(for fingerprint: String) async -> [any TileHelper]
}

/// A helper, which upscales one tile at a time.
package protocol TileHelper: Sendable {
  /// The tile with sides multiplied by a factor.
  ///
  /// Returns soon after its task is cancelled.
  ///
  /// - Returns: the larger tile; nil if the helper cannot upscale it, after which it is given no
  ///   more.
  func upscaled(_ tile: PixelImage, by factor: Int) async -> PixelImage?
}
