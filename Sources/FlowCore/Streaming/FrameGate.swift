/// Tells which images of a stream need not be made, because they are like the last one that was.
///
/// The similar-image filter of StreamDiffusion (Kodaira et al., 2023, arXiv:2312.12491, section
/// 3.4): of an image whose cosine similarity to the last one let through is `c`,
/// `1 - (1 - c) / (1 - threshold)` is the probability to be skipped. Similarity is that of a small
/// image of its brightness, made in one pass over at most 65,536 pixels.
public struct FrameGate: Sendable {
  /// How alike is alike, and what is done about it.
  public struct Settings: Equatable, Sendable {
    /// The cosine similarity from which on images may be skipped, 0 to 1; at 1 none is.
    public var threshold: Double
    /// The most images that are skipped one after another.
    public var maximumSkips: Int
    /// The seed of the chances; without one every image above the threshold is skipped, up to
    /// the maximum.
    public var seed: UInt64?

    /// Creates settings.
    ///
    /// - Precondition: the threshold lies in `0...1`, and the number of skips is not negative.
    public init(threshold: Double = 0.98, maximumSkips: Int = 10, seed: UInt64? = 0) {
      precondition((0...1).contains(threshold), "a threshold is 0 to 1, got \(threshold)")
      precondition(maximumSkips >= 0, "skips are 0 or more, got \(maximumSkips)")
      self.threshold = threshold
      self.maximumSkips = maximumSkips
      self.seed = seed
    }
  }

  /// How alike is alike.
  public var settings: Settings {
    didSet { if settings.seed != oldValue.seed { chance = Self.chance(settings) } }
  }
  /// How many images were skipped since the last one was let through.
  public private(set) var skipCount = 0

  private var chance: MersenneTwister?
  private var last: LumaThumbnail?

  /// Creates a gate that has seen nothing.
  public init(settings: Settings = Settings()) {
    self.settings = settings
    chance = Self.chance(settings)
  }

  private static func chance(_ settings: Settings) -> MersenneTwister? {
    settings.seed.map { MersenneTwister(seed: $0) }
  }

  /// Whether an image is to be made; one that is not leaves no trace but a skip.
  public mutating func admits(_ image: PixelImage) -> Bool {
    let thumbnail = LumaThumbnail(of: image)
    guard let last, skipCount < settings.maximumSkips, last.sizeOfImage == thumbnail.sizeOfImage,
      isSkipped(similarity: last.similarity(to: thumbnail))
    else {
      last = thumbnail
      skipCount = 0
      return true
    }
    skipCount += 1
    return false
  }

  private mutating func isSkipped(similarity: Double) -> Bool {
    guard settings.threshold < 1 else { return false }
    let probability = 1 - (1 - similarity) / (1 - settings.threshold)
    guard probability > 0 else { return false }
    guard var chance else { return true }
    let drawn = Double(chance.nextUniform())
    self.chance = chance
    return probability >= drawn
  }
}

/// The brightness of an image, small: 64 cells a side at most, each the sum of up to 16 pixels.
struct LumaThumbnail: Equatable, Sendable {
  let sizeOfImage: [Int]
  private let cells: [Float]

  init(of image: PixelImage) {
    sizeOfImage = [image.width, image.height]
    let (columns, rows) = (min(image.width, 64), min(image.height, 64))
    var cells = [Float](repeating: 0, count: columns * rows)
    let pixels = image.pixels.span
    // Evenly spread, and of an image of one size always the same pixels.
    let (across, down) = (min(image.width, 256), min(image.height, 256))
    let places = (0..<across).map { 3 * ($0 * image.width / across) }
    let cellColumns = (0..<across).map { $0 * columns / across }
    for y in 0..<down {
      let start = 3 * (y * image.height / down * image.width)
      let line = pixels.extracting(start..<start + 3 * image.width)
      let cellRow = y * rows / down * columns
      for x in 0..<across {
        let place = places[x]
        // ITU-R BT.601, in 256ths.
        let luma =
          77 * Int32(line[place]) + 150 * Int32(line[place + 1]) + 29 * Int32(line[place + 2])
        cells[cellRow + cellColumns[x]] += Float(luma)
      }
    }
    self.cells = cells
  }

  /// The cosine of the angle between two; 1 between two black ones.
  func similarity(to other: LumaThumbnail) -> Double {
    var (product, square, otherSquare) = (0.0, 0.0, 0.0)
    for (one, another) in zip(cells, other.cells) {
      product += Double(one) * Double(another)
      square += Double(one) * Double(one)
      otherSquare += Double(another) * Double(another)
    }
    guard square > 0, otherSquare > 0 else { return square == otherSquare ? 1 : 0 }
    return product / (square * otherSquare).squareRoot()
  }
}
