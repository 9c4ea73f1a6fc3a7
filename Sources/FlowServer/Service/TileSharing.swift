package import FlowCore
package import StreamFlow
internal import Synchronization

/// A service whose large images are upscaled together with other processes, and that makes tiles of
/// theirs.
package protocol TileSharing: Sendable {
  /// Gives the images that are upscaled from now on their helpers.
  ///
  /// - Parameter helpers: who helps a model of a name.
  func share(with helpers: @escaping @Sendable (_ model: String) -> any TileHelpers)

  /// Identifies the upscaler of a model's images (``Upscaler/fingerprint()``); nil without a network.
  ///
  /// - Throws: where the model or its upscaler cannot be read.
  func fingerprint(of model: String) async throws -> String?

  /// A tile of an image of another process, enlarged.
  ///
  /// - Throws: as ``Upscaler/upscale(_:by:)``.
  func upscaled(_ tile: PixelImage, by factor: Int, for model: String) async throws -> PixelImage
}

extension LocalImageService: TileSharing {
  package func share(with helpers: @escaping @Sendable (_ model: String) -> any TileHelpers) {
    tileHelpers.withLock { $0 = helpers }
  }

  package func fingerprint(of model: String) async throws -> String? {
    let host = try shelf.host(model)
    guard await host.checkpoint != nil else { return nil }
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
