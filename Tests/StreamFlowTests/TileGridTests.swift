import FlowCore
import FlowModels
import Testing

@testable import StreamFlow

/// How an image is divided among several workers that upscale it together.
@Suite struct TileGridTests {
  @Test(
    "Tiles cover each pixel once and extend as far as their margins",
    arguments: [
      (1024, 1024, 34, 1, 2), (1024, 1024, 34, 1, 5), (517, 1303, 20, 1, 3), (640, 384, 32, 2, 4),
      (1920, 1080, 33, 2, 16),
    ])
  func coverage(width: Int, height: Int, margin: Int, unit: Int, workers: Int) throws {
    let size = PixelSize(width: width, height: height)
    let tiles = TileGrid(size: size, margin: margin, unit: unit, workers: workers).tiles
    #expect(tiles.count > 1)
    var count = 0
    for tile in tiles {
      count += tile.own.rows.count * tile.own.columns.count
      for (own, window, length) in [
        (tile.own.rows, tile.window.rows, height), (tile.own.columns, tile.window.columns, width),
      ] {
        #expect(window.lowerBound <= max(own.lowerBound - margin, 0))
        #expect(window.upperBound >= min(own.upperBound + margin, length))
        #expect(window.lowerBound >= 0 && window.upperBound <= length)
        #expect(window.lowerBound.isMultiple(of: unit) && window.count.isMultiple(of: unit))
        // One engine for all.
        #expect(window.count == tiles[0].window.rows.count || length == width)
      }
      #expect(tile.window.columns.count == tiles[0].window.columns.count)
    }
    #expect(count == width * height)
    let rows = Set(tiles.map(\.own.rows)), columns = Set(tiles.map(\.own.columns))
    #expect(tiles.count == rows.count * columns.count)
    // With one tile for each, the time is that of the largest one; three workers share as two do.
    let power = [2: 2, 3: 2, 4: 4, 5: 4, 16: 16][workers, default: 0]
    let turns = (tiles.count + power - 1) / power
    let window = tiles[0].window
    let time = turns * window.rows.count * window.columns.count
    #expect(Double(time) <= 0.8 * Double(width * height))
  }

  @Test("An image is whole for one worker, if it is small, and if its sides do not fit the network")
  func whole() {
    for (side, unit, workers) in [(1024, 1, 1), (100, 1, 8), (1023, 2, 4)] {
      let size = PixelSize(width: side, height: side)
      let tiles = TileGrid(size: size, margin: 34, unit: unit, workers: workers).tiles
      #expect(tiles.count == 1 && tiles[0].own == tiles[0].window)
      #expect(tiles[0].own.rows == 0..<side && tiles[0].own.columns == 0..<side)
    }
  }

  @Test("Two workers get half of the image each")
  func halves() {
    let tiles = TileGrid(
      size: PixelSize(width: 800, height: 600), margin: 30, unit: 1, workers: 2
    ).tiles
    #expect(tiles.map(\.own.columns) == [0..<400, 400..<800])
    #expect(tiles.map(\.window.columns) == [0..<460, 340..<800])
    #expect(tiles.allSatisfy { $0.own.rows == 0..<600 })
  }
}
