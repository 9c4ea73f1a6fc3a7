package import FlowCore
package import StreamFlow
internal import Synchronization

/// A service that upscales its large images together with other processes, and tiles of theirs.
package protocol TileSharing: Sendable {
  /// Sets the helpers of images that are upscaled from now on.
  ///
  /// - Parameter helpers: the helpers for a model, by its name; nil for none.
  func share(with helpers: (@Sendable (_ model: String) -> any TileHelpers)?)

  /// Identifies the upscaler of a model's images (``Upscaler/fingerprint()``); nil without a
  /// network, and for a model whose own upscaler is not loaded.
  ///
  /// - Throws: where the model or its upscaler cannot be read.
  func fingerprint(of model: String) async throws -> String?

  /// An upscaled tile of another process's image.
  ///
  /// - Throws: as ``Upscaler/upscale(_:by:)``.
  func upscaled(_ tile: PixelImage, by factor: Int, for model: String) async throws -> PixelImage
}

extension LocalImageService: TileSharing {
  package func share(with helpers: (@Sendable (_ model: String) -> any TileHelpers)?) {
    tileHelpers.withLock { $0 = helpers }
  }

  package func fingerprint(of model: String) async throws -> String? {
    let host = try shelf.host(model)
    guard await host.hasUpscaler else { return nil }
    return try await host.upscaler().fingerprint()
  }

  package func upscaled(
    _ tile: PixelImage, by factor: Int, for model: String
  ) async throws -> PixelImage {
    try await shelf.using(try shelf.host(model)) { host in
      try await host.upscaler().upscale(tile, by: factor)
    }
  }
}
