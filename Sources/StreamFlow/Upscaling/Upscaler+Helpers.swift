internal import FlowEngine
package import FlowCore
internal import FlowModels

extension Upscaler {
  /// The operations per second that are assumed of a device before it has upscaled an image: those
  /// of two cores.
  private static let assumedRate = 2e11

  /// The image with sides multiplied by a factor, some of its tiles upscaled by free helpers.
  ///
  /// Compact networks give the pixels of ``upscale(_:by:)``; for dense ones, tiles have a margin of
  /// 32 pixels, and some values differ by 1/255.
  ///
  /// - Parameters:
  ///   - image: the image.
  ///   - factor: 2 or 4.
  ///   - helpers: finds the helpers for large images.
  /// - Throws: as ``upscale(_:by:)``; `CancellationError`.
  package nonisolated func upscale(
    _ image: PixelImage, by factor: Int, with helpers: any TileHelpers
  ) async throws -> PixelImage {
    try check(factor: factor)
    try Self.checkSize(of: image, by: factor)
    let size = PixelSize(width: image.width, height: image.height)
    guard let file, await expectedTime(of: size) >= helpers.leastTime,
      let fingerprint = try await fingerprint()
    else { return try await upscale(image, by: factor) }
    let free = await helpers.free(for: fingerprint)
    try Task.checkCancellation()
    let grid = TileGrid(
      size: size, margin: TiledUpscaler.margin(of: file.configuration),
      unit: file.configuration.alignment, workers: free.count + 1)
    guard grid.tiles.count > 1 else { return try await upscale(image, by: factor) }
    return try await SharedUpscale(image, by: factor, in: grid).image(with: free) { tile in
      try await self.upscale(tile, by: factor)
    }
  }

  /// The time that an image will take here: that of the fastest one so far, by their pixels.
  private func expectedTime(of size: PixelSize) -> Duration {
    guard let file else { return .zero }
    let perPixel = pixelTime ?? .seconds(file.configuration.operationsPerPixel / Self.assumedRate)
    return perPixel * Double(size.width * size.height)
  }

  /// A text that is the same for upscalers that give the same pixels up to rounding; nil without a
  /// network.
  ///
  /// In float32 it depends on the weights alone. In other precisions it also depends on the device's
  /// name and the processor's features, which decide what is computed in them.
  ///
  /// - Throws: a `GraphError` for weights that cannot be read.
  package func fingerprint() throws -> String? {
    if let known = knownFingerprint { return known }
    guard let file else { return nil }
    let store = provider.store
    var words = ["tiles 1", "\(try file.contentHash())", store.options.precision.rawValue]
    if store.options.precision != .float32 {
      words.append(store.device.name)
      if store.device.name == DeviceName.cpu.name { words += CPUFeatures.current.names }
    }
    let made = words.joined(separator: " ")
    knownFingerprint = made
    return made
  }
}
