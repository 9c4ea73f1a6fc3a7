/// How many rows a tick has.
enum RowChoice {
  /// The most rows of a tick: beyond it there is nothing to win and much memory to lose.
  static let maximum = 256

  /// The rows that give most pictures a second on a CPU, by the number of places of a picture's
  /// latents (see ARCHITECTURE.md for how that was measured): many where a row is too small to
  /// fill the machine, one where a row alone does.
  static func rows(latentPlaces: Int) -> Int {
    switch latentPlaces {
    case ...256: 16
    case ...1024: 4
    default: 2
    }
  }
}
