package import FlowCore

/// Others that upscale tiles of an image, such as the idle workers of a fleet.
package protocol TileHelpers: Sendable {
  /// The helpers that are free now.
  ///
  /// - Parameter fingerprint: identifies the upscaler and its precision
  ///   (``Upscaler/fingerprint()``); helpers have the same.
  func free(for fingerprint: String) async -> [any TileHelper]
}

/// Another that upscales one tile at a time.
package protocol TileHelper: Sendable {
  /// The tile with sides multiplied by a factor; nil if the helper cannot make it, after which it is
  /// given no more. Returns soon after its task is cancelled.
  func upscaled(_ tile: PixelImage, by factor: Int) async -> PixelImage?
}
