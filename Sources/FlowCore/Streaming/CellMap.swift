/// The marked cells of an image's grid of 8x8-pixel cells.
public struct CellMap: Equatable, Sendable {
  /// The side of a cell in pixels; the last column and row may be smaller.
  public static let side = 8

  /// The image's width in pixels.
  public let width: Int
  /// The image's height in pixels.
  public let height: Int
  /// The number of cells in a row.
  public let columns: Int
  /// The number of rows of cells.
  public let rows: Int
  private var marks: [Bool]

  /// Creates a map of an image in which all cells are marked, or none.
  public init(width: Int, height: Int, marked: Bool) {
    (self.width, self.height) = (width, height)
    columns = (width + Self.side - 1) / Self.side
    rows = (height + Self.side - 1) / Self.side
    marks = [Bool](repeating: marked, count: columns * rows)
  }

  /// Whether the cell in a column and row is marked.
  public subscript(column: Int, row: Int) -> Bool {
    get { marks[row * columns + column] }
    set { marks[row * columns + column] = newValue }
  }

  /// Whether no cell is marked.
  public var isEmpty: Bool { !marks.contains(true) }

  /// The fraction of marked cells, 0 to 1.
  public var fraction: Double {
    marks.isEmpty ? 0 : Double(marks.count { $0 }) / Double(marks.count)
  }

  /// The smallest rectangle of pixels that holds all marked cells; nil where there are none.
  public var bounds: PixelRegion? {
    var (left, top, right, bottom) = (columns, rows, -1, -1)
    for row in 0..<rows {
      for column in 0..<columns where self[column, row] {
        (left, right) = (min(left, column), max(right, column))
        (top, bottom) = (min(top, row), max(bottom, row))
      }
    }
    guard right >= 0 else { return nil }
    let (x, y) = (left * Self.side, top * Self.side)
    return PixelRegion(
      x: x, y: y, width: min((right + 1) * Self.side, width) - x,
      height: min((bottom + 1) * Self.side, height) - y)
  }

  /// The map with the eight neighbors of each marked cell marked too.
  public var dilated: CellMap {
    var result = self
    for row in 0..<rows {
      for column in 0..<columns where self[column, row] {
        for y in max(row - 1, 0)...min(row + 1, rows - 1) {
          for x in max(column - 1, 0)...min(column + 1, columns - 1) { result[x, y] = true }
        }
      }
    }
    return result
  }

  /// Whether a marked cell has pixels within a rectangle of the image.
  public func intersects(_ region: PixelRegion) -> Bool {
    guard region.width > 0, region.height > 0 else { return false }
    let right = min((region.x + region.width - 1) / Self.side, columns - 1)
    let bottom = min((region.y + region.height - 1) / Self.side, rows - 1)
    for row in max(region.y / Self.side, 0)...max(bottom, 0) {
      for column in max(region.x / Self.side, 0)...max(right, 0) where self[column, row] {
        return true
      }
    }
    return false
  }
}
