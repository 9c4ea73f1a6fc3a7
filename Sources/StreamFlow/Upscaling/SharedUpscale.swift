internal import FlowCore
internal import FlowModels

/// An image whose tiles are upscaled here and by helpers at the same time.
///
/// A helper that fails or stops answering costs time, never the image: its tile is upscaled here
/// too.
actor SharedUpscale {
  private let image: PixelImage
  private let factor: Int
  private let tiles: [TileGrid.Tile]
  private var canvas: PixelCanvas
  /// The tiles that nobody has begun; taken from the front here, from the back by helpers.
  private var waiting: [Int]
  /// The tiles that helpers have, in the order in which they were given.
  private var given: [(tile: Int, time: ContinuousClock.Instant)] = []
  private var finished: Set<Int> = []
  /// The number of tiles that helpers finished first.
  private(set) var helpedCount = 0
  /// The time of the latest tile here.
  private var localTime = Duration.milliseconds(100)

  /// The pause between checks of the helpers' tiles.
  private static let pause = Duration.milliseconds(10)

  init(_ image: PixelImage, by factor: Int, in grid: TileGrid) {
    (self.image, self.factor, tiles) = (image, factor, grid.tiles)
    canvas = PixelCanvas(height: image.height * factor, width: image.width * factor)
    waiting = Array(grid.tiles.indices)
  }

  /// The enlarged image.
  ///
  /// - Parameters:
  ///   - helpers: the helpers.
  ///   - upscale: upscales a tile here.
  /// - Throws: the errors of `upscale`; `CancellationError`.
  nonisolated func image(
    with helpers: [any TileHelper],
    upscale: @escaping @Sendable (PixelImage) async throws -> PixelImage
  ) async throws -> PixelImage {
    try await withThrowingTaskGroup(of: Void.self) { group in
      // One helper fewer than tiles: this process upscales one itself.
      for helper in helpers.prefix(tiles.count - 1) {
        group.addTask { await self.lend(to: helper) }
      }
      group.addTask {
        try await self.work(upscale)
        throw Finished()
      }
      do { while try await group.next() != nil {} } catch is Finished {}
      group.cancelAll()
    }
    return await canvas.image
  }

  /// Thrown when all tiles are there, to end the helpers' waits.
  private struct Finished: Error {}

  // MARK: - Here

  private enum Turn {
    case tile(Int)
    case pause
    case end
  }

  private func turn() -> Turn {
    if !waiting.isEmpty { return .tile(waiting.removeFirst()) }
    guard let oldest = given.first else { return .end }
    // A helper that takes twice as long as a tile does here may never answer.
    guard ContinuousClock.now - oldest.time > localTime * 2 else { return .pause }
    given.removeFirst()
    return .tile(oldest.tile)
  }

  private nonisolated func work(
    _ upscale: @Sendable (PixelImage) async throws -> PixelImage
  ) async throws {
    while true {
      try Task.checkCancellation()
      switch await turn() {
      case .end: return
      case .pause: try await Task.sleep(for: Self.pause)
      case .tile(let index):
        let start = ContinuousClock.now
        await finish(index, with: try await upscale(source(index)))
        await note(ContinuousClock.now - start)
      }
    }
  }

  private func note(_ time: Duration) { localTime = max(time, .milliseconds(100)) }

  // MARK: - Helpers

  private nonisolated func lend(to helper: any TileHelper) async {
    while !Task.isCancelled, let index = await take() {
      guard let tile = await helper.upscaled(source(index), by: factor), fits(tile, index) else {
        return await giveBack(index)
      }
      await finish(index, with: tile, isHelped: true)
    }
  }

  private func take() -> Int? {
    guard let index = waiting.popLast() else { return nil }
    given.append((index, .now))
    return index
  }

  private func giveBack(_ index: Int) {
    guard let place = given.firstIndex(where: { $0.tile == index }) else { return }
    given.remove(at: place)
    waiting.append(index)
  }

  // MARK: - Tiles

  private nonisolated func source(_ index: Int) -> PixelImage {
    let window = tiles[index].window
    var pixels = [UInt8](repeating: 0, count: 3 * window.rows.count * window.columns.count)
    var target = pixels.mutableSpan
    image.copy(window, to: &target)
    return PixelImage(width: window.columns.count, height: window.rows.count, pixels: pixels)
  }

  private nonisolated func fits(_ tile: PixelImage, _ index: Int) -> Bool {
    let window = tiles[index].window
    return tile.width == window.columns.count * factor && tile.height == window.rows.count * factor
  }

  private func finish(_ index: Int, with tile: PixelImage, isHelped: Bool = false) {
    given.removeAll { $0.tile == index }
    // Both may have upscaled it.
    guard finished.insert(index).inserted else { return }
    if isHelped { helpedCount += 1 }
    canvas.paste(
      tile.pixels.span, covering: tiles[index].window.enlarged(factor),
      taking: tiles[index].own.enlarged(factor))
  }
}
