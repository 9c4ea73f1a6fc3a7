internal import FlowCore
internal import FlowModels

/// The positions of a tensor that changed.
struct PositionMap: Equatable {
  let height: Int
  let width: Int
  private(set) var marks: [Bool]

  init(height: Int, width: Int, marked: Bool = false) {
    (self.height, self.width) = (height, width)
    marks = [Bool](repeating: marked, count: height * width)
  }

  /// The positions at which two latents of one shape differ in any channel.
  init(from old: Latents, to new: Latents) {
    precondition(old.shape == new.shape, "\(old.shape) and \(new.shape) differ")
    self.init(height: new.shape[1], width: new.shape[2])
    let (before, after) = (old.scalars.span, new.scalars.span)
    let count = height * width
    for index in after.indices where before[index].bitPattern != after[index].bitPattern {
      marks[index % count] = true
    }
  }

  /// Marks a position, row by row.
  mutating func mark(_ index: Int) { marks[index] = true }

  /// Whether no position is marked.
  var isEmpty: Bool { !marks.contains(true) }

  /// Whether a position within an area is marked.
  func intersects(_ area: FeatureMap.Area) -> Bool {
    let marks = marks.span
    for row in area.rows {
      for index in row * width + area.columns.lowerBound..<row * width + area.columns.upperBound
      where marks[index] { return true }
    }
    return false
  }

  /// The smallest area that holds all marked positions; nil where there are none.
  var bounds: FeatureMap.Area? {
    var (left, top, right, bottom) = (width, height, -1, -1)
    let marks = marks.span
    for row in 0..<height {
      for column in 0..<width where marks[row * width + column] {
        (left, right) = (min(left, column), max(right, column))
        (top, bottom) = (min(top, row), max(bottom, row))
      }
    }
    guard right >= 0 else { return nil }
    return FeatureMap.Area(rows: top..<bottom + 1, columns: left..<right + 1)
  }
}

extension FeatureMap {
  /// Pastes part of a tile, and marks the positions whose elements changed.
  ///
  /// - Parameters:
  ///   - tile: a tile's elements, of as many channels as this map.
  ///   - window: the area of this map that the tile covers.
  ///   - area: the part of it that is pasted.
  ///   - changes: a map of this map's positions.
  mutating func paste(
    _ tile: Span<Float>, covering window: Area, taking area: Area,
    marking changes: inout PositionMap
  ) {
    let (tileHeight, tileWidth) = (window.rows.count, window.columns.count)
    let (height, width, channels) = (height, width, channels)
    let count = area.columns.count
    let offset = area.columns.lowerBound - window.columns.lowerBound
    var target = scalars.mutableSpan
    for row in area.rows {
      for channel in 0..<channels {
        let from = (channel * tileHeight + row - window.rows.lowerBound) * tileWidth + offset
        let into = (channel * height + row) * width + area.columns.lowerBound
        let line = tile.extracting(from..<from + count)
        for column in 0..<count where target[into + column] != line[column] {
          target[into + column] = line[column]
          changes.mark(row * width + area.columns.lowerBound + column)
        }
      }
    }
  }

  /// Replaces all elements.
  ///
  /// - Precondition: the latents have this map's shape.
  mutating func replace(with latents: Latents) {
    precondition(latents.shape == [channels, height, width], "latents of \(latents.shape)")
    scalars = latents.scalars
  }
}
