internal import FlowModels

/// Whether images are decoded whole or in tiles.
///
/// Both give the same image to 1/255. Tiles take less memory for large images, and about as
/// long; for small ones their engines alone take more than the whole.
public enum DecodeTiling: Equatable, Sendable {
  /// In tiles where decoding the whole image would take more than 3 GB.
  case automatic
  /// Whole.
  case never
  /// In tiles of so many pixels a side, ``smallestTile`` or more.
  case pixels(Int)

  /// The smallest side of a tile in pixels.
  public static let smallestTile = 16

  /// The bytes beyond which an image is decoded in tiles.
  static let wholeByteCount = 3e9

  /// The bytes that the widest tensor of a tile may take; a tile's engine holds about four, and a
  /// full autoencoder's some fifteen engines.
  private static let tileByteCount = 16 << 20

  /// The side of tiles in pixels, or nothing for an image that is decoded whole.
  func side(_ autoencoder: AutoencoderConfiguration, width: Int, height: Int) -> Int? {
    switch self {
    case .never: nil
    case .pixels(let side): side
    case .automatic:
      autoencoder.wholeByteCount(width: width, height: height) > Self.wholeByteCount
        ? Self.side(channels: autoencoder.pixelChannels) : nil
    }
  }

  /// The largest power of two that keeps a tile of so many channels within its bytes.
  private static func side(channels: Int) -> Int {
    var side = Self.smallestTile
    while channels * 4 * side * side * 4 <= tileByteCount { side *= 2 }
    return side
  }
}

extension AutoencoderConfiguration {
  /// The most channels that the decoder has for every pixel.
  var pixelChannels: Int {
    switch kind {
    case .tiny(let configuration):
      configuration.decoderChannels[configuration.decoderChannels.count - 1]
    case .full(let configuration): configuration.decoderChannels[0] * 2
    }
  }

  /// The bytes that decoding a whole image takes, about: six tensors of its widest.
  func wholeByteCount(width: Int, height: Int) -> Double {
    Double(width) * Double(height) * Double(pixelChannels) * 4 * 6
  }

  /// The bytes that decoding in tiles takes, about: the tensors held between stages, the first
  /// stage of a full autoencoder, and the tiles.
  func tiledByteCount(width: Int, height: Int) -> Double {
    let pixels = Double(width) * Double(height)
    let tiles = 1.5e9
    switch kind {
    case .tiny(let configuration):
      // A quarter of the places before the last level, and a sixteenth of them before that.
      let channels = configuration.decoderChannels.max() ?? 0
      return pixels * Double(channels) * 4 * (1 / 4 + 1 / 16) + tiles
    case .full: return pixels * Double(pixelChannels) * 4 * 2 + tiles
    }
  }
}
