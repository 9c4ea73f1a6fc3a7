internal import FlowModels

/// How many rows a tick has.
enum RowChoice {
  /// The most rows of a tick: beyond it there is nothing to win and much memory to lose.
  static let maximum = 256

  /// The latent pixels that tell how large an image is: those of an eighth of each side where an
  /// autoencoder's are fewer and have more channels.
  static func places(height: Int, width: Int, factor: Int) -> Int {
    height * width * max(factor * factor, 64) / 64
  }

  /// The rows that give most images a second on a CPU, by the number of an image's
  /// latent pixels (see ARCHITECTURE.md for how that was measured): many where a row is too small to
  /// fill the machine, one where a row alone does.
  static func rows(latentPlaces: Int) -> Int {
    switch latentPlaces {
    case ...256: 16
    case ...1024: 4
    default: 2
    }
  }

  /// Whether the rows of a tick run one after another: for a large network, where a row alone
  /// fills the machine (at 512 px, 4 rows together of Stable Diffusion 1.5 take 4 times as long as
  /// one).
  static func runsSingly(latentPlaces: Int, weightsByteCount: Int) -> Bool {
    latentPlaces > 1024 && weightsByteCount >= EngineCatalogue.largeByteCount
  }
}
