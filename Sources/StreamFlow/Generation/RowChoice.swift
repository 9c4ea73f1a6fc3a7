/// How many rows a tick has, and which engines are made for them.
enum RowChoice {
  /// The most rows of a tick: beyond it there is nothing to win and much memory to lose.
  static let maximum = 256

  /// The rows that give most pictures a second on a CPU, by the number of places of a picture's
  /// latents (see ARCHITECTURE.md for how that was measured): many where a row is too small to
  /// fill the machine, one where a row alone does.
  static func rows(latentPlaces: Int) -> Int {
    switch latentPlaces {
    case ...256: 8
    case ...1024: 4
    default: 2
    }
  }

  /// The row counts that engines are made for.
  ///
  /// A small network is compiled for every power of two up to the capacity, so that a stream that
  /// fills or drains computes no empty rows. A large one is compiled once: its engines are
  /// gigabytes, and a full-sized one loses little.
  static func engines(rowCapacity: Int, weightsByteCount: Int) -> [Int] {
    guard weightsByteCount < 256 << 20 else { return [rowCapacity] }
    var counts: [Int] = []
    var count = 1
    while count < rowCapacity {
      counts.append(count)
      count *= 2
    }
    return counts + [rowCapacity]
  }
}
