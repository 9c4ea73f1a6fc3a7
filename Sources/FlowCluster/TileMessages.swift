internal import FlowCore
internal import FlowNATS

/// Asks who is free to upscale tiles of an image.
struct TileCall: Codable, Sendable {
  /// Identifies the image.
  let id: String
  let model: String
  /// The upscaler and how it computes, which helpers have in common.
  let fingerprint: String
  /// The worker that asks, which does not answer itself.
  let worker: String
}

/// The answer of a worker that is free.
struct TileOffer: Codable, Sendable {
  let worker: String
}

/// A tile to upscale.
struct TileJob: Codable, Sendable {
  /// The call that the worker answered.
  let call: String
  let model: String
  let factor: Int
  let tile: StoredTile
}

/// The result of a tile.
struct TileAnswer: Codable, Sendable {
  /// The larger tile; nil if the worker is busy or cannot upscale it.
  var tile: StoredTile?
  /// Why it cannot.
  var error: String?
}

/// Pixels in the bucket of tiles: red, green and blue of each, row by row.
struct StoredTile: Codable, Sendable {
  let object: String
  let width: Int
  let height: Int

  /// The maximum number of pixels of a tile, 192 MB.
  static let pixelCount = 64 << 20

  /// The tile of an image, not stored yet.
  init(of image: PixelImage) {
    // A unique name: nobody replaces another's tile.
    (object, width, height) = (NATSName.random(), image.width, image.height)
  }

  /// Its pixels; nil if it is not stored any more.
  ///
  /// - Throws: a `NATSError` for a file that is damaged or has another size.
  func image(in store: ObjectStore) async throws -> PixelImage? {
    let (pixels, overflow) = width.multipliedReportingOverflow(by: height)
    guard width > 0, height > 0, !overflow, pixels <= Self.pixelCount else {
      throw NATSError(.tooLarge, "a tile of \(width)x\(height) pixels is not taken")
    }
    guard let bytes = try await store.get(object, limit: 3 * pixels) else { return nil }
    guard bytes.count == 3 * pixels else {
      throw NATSError(
        .damaged,
        "the tile '\(object)' of \(width)x\(height) pixels has \(bytes.count) bytes, expected "
          + "\(3 * pixels)")
    }
    return PixelImage(width: width, height: height, pixels: bytes)
  }
}
