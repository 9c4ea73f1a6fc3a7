internal import FlowModels

/// One axis split into tiles of equal length.
///
/// A tile contributes its own part; its window, which is computed, has a margin on either side as
/// far as the axis extends. The last windows are moved back to fit, so that all have one length and
/// share one engine.
struct Tiling: Equatable {
  struct Tile: Equatable {
    let own: Range<Int>
    let window: Range<Int>
  }

  let tiles: [Tile]
  /// The length of every window.
  let windowLength: Int

  /// - Parameters:
  ///   - length: the axis.
  ///   - own: the length of a tile's own part, positive.
  ///   - margin: how far a tile's window extends beyond it.
  init(length: Int, own: Int, margin: Int) {
    precondition(length > 0 && own > 0 && margin >= 0, "\(length) in tiles of \(own)+\(margin)")
    // A sum that overflows is beyond the axis too.
    let windowLength = own >= length ? length : min(length, own + 2 * margin)
    self.windowLength = windowLength
    tiles = stride(from: 0, to: length, by: min(own, length)).map { start in
      let window = min(max(start - margin, 0), length - windowLength)
      return Tile(
        own: start..<min(start + min(own, length), length), window: window..<window + windowLength)
    }
  }

  /// The fewest tiles whose windows are within a maximum, with windows of the smallest equal
  /// length.
  ///
  /// - Parameters:
  ///   - length: the axis, a multiple of the unit.
  ///   - most: the maximum window length, greater than two margins.
  ///   - margin: how far a tile sees beyond its own part.
  ///   - unit: the positions and lengths of windows are multiples of this.
  init(length: Int, atMost most: Int, margin: Int, unit: Int) {
    func up(_ length: Int, to unit: Int) -> Int { (length + unit - 1) / unit * unit }
    let (most, margin) = (most / unit * unit, up(margin, to: unit))
    precondition(
      length > 0 && most > 2 * margin && length.isMultiple(of: unit),
      "\(length) in windows of \(most) with margins of \(margin)")
    guard length > most else {
      (tiles, windowLength) = ([Tile(own: 0..<length, window: 0..<length)], length)
      return
    }
    let count = (length - 2 * margin + most - 2 * margin - 1) / (most - 2 * margin)
    // Images of about one size share an engine.
    let even = up((length + 2 * margin * (count - 1) + count - 1) / count, to: 16 * unit)
    let windowLength = min(most, even)
    var (tiles, start): ([Tile], Int) = ([], 0)
    while start < length {
      let first = min(max(start - margin, 0), length - windowLength)
      let end = first + windowLength == length ? length : first + windowLength - margin
      tiles.append(Tile(own: start..<end, window: first..<first + windowLength))
      start = end
    }
    (self.tiles, self.windowLength) = (tiles, windowLength)
  }
}
