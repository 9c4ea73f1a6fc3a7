/// A filter that skips images of a stream which are similar to the last one that passed.
///
/// The similar-image filter of StreamDiffusion (Kodaira et al., 2023, arXiv:2312.12491, section
/// 3.4): an image whose cosine similarity to the last passed image is `c` is skipped with
/// probability `1 - (1 - c) / (1 - threshold)`. Similarity is that of a small luma image, made in
/// one pass over at most 65,536 pixels.
public struct FrameGate: Sendable {
  /// The threshold of similarity, and how skips are chosen.
  public struct Settings: Equatable, Sendable {
    /// The cosine similarity from which on images may be skipped, 0 to 1; at 1 none is.
    public var threshold: Double
    /// The maximum number of consecutive skipped images.
    public var maximumSkips: Int
    /// The seed of the random choice; nil to skip every image above the threshold, up to the
    /// maximum.
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

  /// The threshold of similarity, and how skips are chosen.
  public var settings: Settings {
    didSet { if settings.seed != oldValue.seed { chance = Self.chance(settings) } }
  }
  /// The number of images skipped since the last one passed.
  public private(set) var skipCount = 0

  private var chance: MersenneTwister?
  private var last: LumaThumbnail?

  /// Creates a gate that has seen no image.
  public init(settings: Settings = Settings()) {
    self.settings = settings
    chance = Self.chance(settings)
  }

  private static func chance(_ settings: Settings) -> MersenneTwister? {
    settings.seed.map { MersenneTwister(seed: $0) }
  }

  /// Whether an image passes; a skipped image changes only the number of skips.
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

/// A thumbnail of an image's luma: at most 64 cells a side, each the sum of up to 16 pixels.
struct LumaThumbnail: Equatable, Sendable {
  let sizeOfImage: [Int]
  private let cells: [Float]

  init(of image: PixelImage) {
    sizeOfImage = [image.width, image.height]
    let (columns, rows) = (min(image.width, 64), min(image.height, 64))
    var cells = [Float](repeating: 0, count: columns * rows)
    let pixels = image.pixels.span
    // Evenly spaced, and the same pixels for all images of one size.
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

  /// The cosine of the angle between two thumbnails; 1 for two black ones.
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
