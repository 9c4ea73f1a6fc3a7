internal import FlowCore
internal import Foundation

/// Asks who is free to upscale tiles.
struct TileCall: Codable, Sendable {
  let model: String
  /// The upscaler and its precision, which helpers have too.
  let fingerprint: String
  /// The worker that asks, which is no helper of its own.
  let worker: String
}

/// The answer of a worker that is free.
struct TileOffer: Codable, Sendable {
  let worker: String
}

/// A tile to upscale.
struct TileJob: Codable, Sendable {
  let model: String
  let factor: Int
  let tile: StoredTile
}

/// What became of a tile.
struct TileAnswer: Codable, Sendable {
  /// The larger tile; nil where the worker is busy or cannot.
  var tile: StoredTile?
  /// Why it cannot.
  var error: String?
}

/// Pixels in the bucket: red, green and blue of each, row by row.
struct StoredTile: Codable, Sendable {
  let object: String
  let width: Int
  let height: Int

  /// The greatest sides that are read, as those of a file.
  private static let side = 65535

  /// The image of a file's bytes.
  ///
  /// - Throws: a `DecodingError` for bytes that are not of this size.
  func image(_ bytes: [UInt8]) throws -> PixelImage {
    guard (1...Self.side).contains(width), (1...Self.side).contains(height),
      bytes.count == 3 * width * height
    else {
      throw DecodingError.dataCorrupted(
        .init(
          codingPath: [],
          debugDescription: "a tile of \(width)x\(height) has \(bytes.count) bytes, expected "
            + "3 for each pixel"))
    }
    return PixelImage(width: width, height: height, pixels: bytes)
  }
}
