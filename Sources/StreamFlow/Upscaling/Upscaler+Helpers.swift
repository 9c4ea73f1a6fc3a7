internal import FlowEngine
package import FlowCore
internal import FlowModels

extension Upscaler {
  /// The number of operations below which an image is not shared: about a second of two cores.
  package static let leastSharedOperations = 2e11

  /// The image with sides multiplied by a factor, some of its tiles made by helpers that are free.
  ///
  /// Compact networks give the pixels of ``upscale(_:by:)``; for dense ones, tiles have a margin of
  /// 32 pixels, and some values differ by 1/255.
  ///
  /// - Parameters:
  ///   - image: the image.
  ///   - factor: 2 or 4.
  ///   - helpers: who may make tiles of large images.
  ///   - leastOperations: the number of operations from which an image is shared.
  /// - Throws: as ``upscale(_:by:)``.
  package nonisolated func upscale(
    _ image: PixelImage, by factor: Int, with helpers: any TileHelpers,
    leastOperations: Double = leastSharedOperations
  ) async throws -> PixelImage {
    try check(factor: factor)
    try Self.checkSize(of: image, by: factor)
    let size = PixelSize(width: image.width, height: image.height)
    guard let file,
      file.configuration.operationsPerPixel * Double(size.width * size.height)
        >= leastOperations,
      let fingerprint = try await fingerprint()
    else { return try await upscale(image, by: factor) }
    let free = await helpers.free(for: fingerprint)
    let grid = TileGrid(
      size: size, margin: TiledUpscaler.margin(of: file.configuration),
      unit: file.configuration.alignment, workers: free.count + 1)
    guard grid.tiles.count > 1 else { return try await upscale(image, by: factor) }
    return try await SharedUpscale(image, by: factor, in: grid).image(with: free) { tile in
      try await self.upscale(tile, by: factor)
    }
  }

  /// A text that upscalers share if they give the same pixels: of the same weights and precision, on
  /// any machine; nil without a network.
  ///
  /// - Throws: a `GraphError` for weights that cannot be read.
  package func fingerprint() throws -> String? {
    if let known = knownFingerprint { return known }
    guard let file else { return nil }
    let made = "\(try file.contentHash()) \(provider.store.options.precision.rawValue)"
    knownFingerprint = made
    return made
  }
}
