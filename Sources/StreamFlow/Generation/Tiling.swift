internal import FlowModels

/// One axis cut into tiles of one length.
///
/// A tile's own part is what it contributes; its window, which is computed, has a margin on either
/// side as far as the axis goes. The last windows are moved back to fit inside, so that all have
/// one length and one engine serves.
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
  ///   - margin: how far a tile sees beyond it.
  init(length: Int, own: Int, margin: Int) {
    precondition(length > 0 && own > 0 && margin >= 0, "\(length) in tiles of \(own)+\(margin)")
    // A sum that is beyond an Int is beyond the axis too.
    let windowLength = own >= length ? length : min(length, own + 2 * margin)
    self.windowLength = windowLength
    tiles = stride(from: 0, to: length, by: min(own, length)).map { start in
      let window = min(max(start - margin, 0), length - windowLength)
      return Tile(
        own: start..<min(start + min(own, length), length), window: window..<window + windowLength)
    }
  }
}
