internal import FlowModels

/// The number of rows of a tick.
enum RowChoice {
  /// The maximum number of rows of a tick: more bring no speedup and take much memory.
  static let maximum = 256

  /// The number of latent pixels as a measure of an image's size, counted at an eighth of each side
  /// if an autoencoder has fewer latent pixels with more channels.
  static func places(height: Int, width: Int, factor: Int) -> Int {
    height * width * max(factor * factor, 64) / 64
  }

  /// The number of rows with the highest throughput on a CPU, by the number of an image's latent
  /// pixels (see ARCHITECTURE.md for the measurement): many if a row is too small to use the whole
  /// machine, one if it uses all of it.
  static func rows(latentPlaces: Int) -> Int {
    switch latentPlaces {
    case ...256: 16
    case ...1024: 4
    default: 2
    }
  }

  /// Whether the rows of a tick run one after another: for a large network, where one row uses the
  /// whole machine (at 512 px, 4 rows together of Stable Diffusion 1.5 take 4 times as long as
  /// one).
  static func runsSingly(latentPlaces: Int, weightsByteCount: Int) -> Bool {
    latentPlaces > 1024 && weightsByteCount >= EngineCatalogue.largeByteCount
  }
}
