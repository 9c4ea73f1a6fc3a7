internal import FlowModels

/// Whether images are decoded whole or in tiles.
///
/// Both give the same image to 1/255. For large images tiles take less memory and about as long;
/// for small images the engines of tiles alone take more memory than decoding the whole image.
public enum DecodeTiling: Equatable, Sendable {
  /// In tiles if decoding the whole image would take more than 3 GB.
  case automatic
  /// Whole.
  case never
  /// In tiles with this side in pixels, ``smallestTile`` or more.
  case pixels(Int)

  /// The smallest side of a tile in pixels.
  public static let smallestTile = 16

  /// The size in bytes from which on an image is decoded in tiles.
  static let wholeByteCount = 3e9

  /// The maximum size in bytes of a tile's widest tensor.
  ///
  /// A tile's engine holds about four such tensors, and a full autoencoder has about fifteen
  /// engines.
  private static let tileByteCount = 16 << 20

  /// The side of tiles in pixels, or nil for an image that is decoded whole.
  func side(_ autoencoder: AutoencoderConfiguration, width: Int, height: Int) -> Int? {
    switch self {
    case .never: nil
    case .pixels(let side): side
    case .automatic:
      autoencoder.wholeByteCount(width: width, height: height) > Self.wholeByteCount
        ? Self.side(channels: autoencoder.pixelChannels) : nil
    }
  }

  /// The largest power of two that keeps a tile with this number of channels within the maximum.
  private static func side(channels: Int) -> Int {
    var side = Self.smallestTile
    while channels * 4 * side * side * 4 <= tileByteCount { side *= 2 }
    return side
  }
}

extension AutoencoderConfiguration {
  /// The largest number of channels that the decoder has at full resolution.
  var pixelChannels: Int {
    switch kind {
    case .tiny(let configuration):
      configuration.decoderChannels[configuration.decoderChannels.count - 1]
    case .full(let configuration): configuration.decoderChannels[0] * 2
    }
  }

  /// The estimated bytes for decoding a whole image: six tensors of the widest kind.
  func wholeByteCount(width: Int, height: Int) -> Double {
    Double(width) * Double(height) * Double(pixelChannels) * 4 * 6
  }

  /// The estimated bytes for decoding in tiles: the tensors held between stages, the first stage of
  /// a full autoencoder, and the tiles.
  func tiledByteCount(width: Int, height: Int) -> Double {
    let pixels = Double(width) * Double(height)
    let tiles = 1.5e9
    switch kind {
    case .tiny(let configuration):
      // A quarter of the positions before the last level, and a sixteenth before that.
      let channels = configuration.decoderChannels.max() ?? 0
      return pixels * Double(channels) * 4 * (1 / 4 + 1 / 16) + tiles
    case .full: return pixels * Double(pixelChannels) * 4 * 2 + tiles
    }
  }
}
