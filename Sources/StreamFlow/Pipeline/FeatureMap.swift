internal import FlowCore
internal import FlowModels

/// A tensor between two stages of a decoder: the whole image's, held outside of the engines.
///
/// It cannot be copied, since it may take gigabytes.
struct FeatureMap: ~Copyable {
  /// A rectangle of positions.
  struct Area: Equatable {
    let rows: Range<Int>
    let columns: Range<Int>
  }

  let height: Int
  let width: Int
  private(set) var channels: Int
  /// The elements, width fastest, channels slowest.
  var scalars: [Float]

  init(_ latents: Latents) {
    (channels, height, width) = (latents.shape[0], latents.shape[1], latents.shape[2])
    scalars = latents.scalars
  }

  init(channels: Int, height: Int, width: Int) {
    (self.channels, self.height, self.width) = (channels, height, width)
    scalars = [Float](repeating: 0, count: channels * height * width)
  }

  /// A map without elements.
  static var nothing: FeatureMap { FeatureMap(channels: 0, height: 0, width: 0) }

  /// Removes the last channels, or appends channels of zeros.
  mutating func resize(channels: Int) {
    let missing = (channels - self.channels) * height * width
    if missing > 0 { scalars += [Float](repeating: 0, count: missing) }
    if missing < 0 { scalars.removeLast(-missing) }
    self.channels = channels
  }

  /// Copies an area of every channel, or of the first few.
  func copy(_ area: Area, channels: Int? = nil, to target: inout MutableSpan<Float>) {
    let channels = channels ?? self.channels
    precondition(
      target.count == channels * area.rows.count * area.columns.count, "an area of another size")
    let source = scalars.span
    let count = area.columns.count
    var place = 0
    for channel in 0..<channels {
      for row in area.rows {
        let start = (channel * height + row) * width + area.columns.lowerBound
        // A line of known length, whose bounds are checked once.
        let line = source.extracting(start..<start + count)
        for column in 0..<count { target[place + column] = line[column] }
        place += count
      }
    }
  }

  /// Pastes part of a tile, and accumulates the sums for the normalization that follows.
  ///
  /// - Parameters:
  ///   - tile: a tile's elements, of no more channels than this map has.
  ///   - window: the area of this map that the tile covers.
  ///   - area: the part of it that is pasted.
  ///   - sums: the sums of each of the tile's channels.
  mutating func paste(
    _ tile: Span<Float>, covering window: Area, taking area: Area, adding sums: inout ChannelSums
  ) {
    let (tileHeight, tileWidth) = (window.rows.count, window.columns.count)
    let (height, width) = (height, width)
    let count = area.columns.count
    let offset = area.columns.lowerBound - window.columns.lowerBound
    var target = scalars.mutableSpan
    for channel in 0..<sums.count {
      var sum = 0.0
      var squares = 0.0
      for row in area.rows {
        let from = (channel * tileHeight + row - window.rows.lowerBound) * tileWidth + offset
        let into = (channel * height + row) * width + area.columns.lowerBound
        let line = tile.extracting(from..<from + count)
        for column in 0..<count {
          let scalar = line[column]
          target[into + column] = scalar
          sum += Double(scalar)
          squares += Double(scalar) * Double(scalar)
        }
      }
      sums.add(sum, squares, to: channel)
    }
  }
}

/// The sums that group normalization needs, accumulated tile by tile in double precision.
struct ChannelSums {
  private var sums: [Double]
  private var squares: [Double]

  init(channels: Int) {
    sums = [Double](repeating: 0, count: channels)
    squares = sums
  }

  /// The number of channels.
  var count: Int { sums.count }

  mutating func add(_ sum: Double, _ squares: Double, to channel: Int) {
    sums[channel] += sum
    self.squares[channel] += squares
  }

  /// For each channel the mean of its group, and 1 / sqrt(variance + epsilon).
  func statistics(
    groups: Int, placeCount: Int, epsilon: Float
  ) -> (means: [Float], inverseDeviations: [Float]) {
    let size = count / groups
    let number = Double(size * placeCount)
    var means: [Float] = []
    var inverses: [Float] = []
    for group in 0..<groups {
      let channels = group * size..<(group + 1) * size
      let mean = sums[channels].reduce(0, +) / number
      let variance = max(squares[channels].reduce(0, +) / number - mean * mean, 0)
      means += [Float](repeating: Float(mean), count: size)
      inverses += [Float](
        repeating: Float(1 / (variance + Double(epsilon)).squareRoot()), count: size)
    }
    return (means, inverses)
  }
}
