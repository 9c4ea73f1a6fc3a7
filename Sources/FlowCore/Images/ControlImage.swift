/// Makes a control image of an image without a network: what a ControlNet or a T2I-Adapter reads.
///
/// ```swift
/// let edges = ControlImage(.canny)(photo)
/// ```
public struct ControlImage: Hashable, Sendable {
  /// What a control image shows.
  public enum Kind: String, CaseIterable, Sendable {
    /// White edges on black (Canny, 1986).
    case canny
    /// White strokes on black where the image is darker than around it.
    case scribble
    /// The colors of large squares, for color adapters.
    case color
    /// The image itself, for ControlNets that add detail to it.
    case tile
    /// Its brightness, in place of a measured depth: what is bright is near.
    case lumaDepth = "luma-depth"
  }

  /// What the control image shows.
  public var kind: Kind
  /// Gradients above the upper bound are edges, those above the lower one where they lead on from an
  /// edge; OpenCV's usual ones.
  public var cannyThresholds = 100...200
  /// Whether edges are looked for in the image blurred by 5 x 5 pixels; `cv2.Canny` does not blur.
  public var blursBeforeCanny = false
  /// By how much of 255 a stroke of a scribble is darker than around it, in each channel.
  public var scribbleContrast: Float = 16
  /// Pixels a side of a square of one color.
  public var colorSide = 64
  /// How much smaller than the image a tile's content is, 1 for the image as it is.
  public var tileReduction = 1

  /// Creates what makes a kind of control image, with the usual settings.
  public init(_ kind: Kind) { self.kind = kind }

  /// The control image of an image, of the same size.
  ///
  /// - Precondition: `colorSide` and `tileReduction` are 1 or more.
  public func callAsFunction(_ image: PixelImage) -> PixelImage {
    guard image.width > 0, image.height > 0 else { return image }
    switch kind {
    case .canny:
      let source = blursBeforeCanny ? image.binomiallyBlurred() : image
      return source.cannyEdges(thresholds: cannyThresholds)
    case .scribble: return image.scribble(contrast: scribbleContrast)
    case .color: return image.reduced(by: colorSide).resizedNearest(like: image)
    case .tile:
      guard tileReduction != 1 else { return image }
      return image.reduced(by: tileReduction)
        .resizedBicubically(width: image.width, height: image.height)
    case .lumaDepth: return PixelImage(gray: image.luma(), width: image.width, height: image.height)
    }
  }
}

extension PixelImage {
  /// An image of one channel.
  ///
  /// - Parameter gray: a number for each pixel.
  init(gray: [UInt8], width: Int, height: Int) {
    var pixels = [UInt8](repeating: 0, count: 3 * width * height)
    let source = gray.span
    var target = pixels.mutableSpan
    var index = 0
    while index < source.count {
      let value = source[index]
      target[3 * index] = value
      target[3 * index + 1] = value
      target[3 * index + 2] = value
      index += 1
    }
    self.init(width: width, height: height, pixels: pixels)
  }

  /// The luma of each pixel, as Pillow converts to its mode `L` (ITU-R BT.601 in 16 bits).
  func luma() -> [UInt8] {
    var luma = [UInt8](repeating: 0, count: width * height)
    let source = pixels.span
    var target = luma.mutableSpan
    var index = 0
    while index < target.count {
      let (red, green, blue) = (
        Int(source[3 * index]), Int(source[3 * index + 1]), Int(source[3 * index + 2])
      )
      let sum = red * 19595 + green * 38470 + blue * 7471
      target[index] = UInt8((sum + 32768) >> 16)
      index += 1
    }
    return luma
  }

  /// The image at a whole part of its size, at least one pixel.
  fileprivate func reduced(by factor: Int) -> PixelImage {
    precondition(factor > 0, "cannot reduce an image by \(factor)")
    return resizedBicubically(
      width: max(width / factor, 1), height: max(height / factor, 1))
  }

  /// The image at the size of another by its nearest pixels, as Pillow's `NEAREST`.
  fileprivate func resizedNearest(like other: PixelImage) -> PixelImage {
    var result = [UInt8](repeating: 0, count: other.pixels.count)
    let source = pixels.span
    var target = result.mutableSpan
    let columns = Self.nearest(of: width, count: other.width)
    var place = 0
    for row in Self.nearest(of: height, count: other.height) {
      for column in columns {
        let start = 3 * (row * width + column)
        target[place] = source[start]
        target[place + 1] = source[start + 1]
        target[place + 2] = source[start + 2]
        place += 3
      }
    }
    return PixelImage(width: other.width, height: other.height, pixels: result)
  }
  /// The places along an axis that are nearest to those of another length.
  private static func nearest(of sourceCount: Int, count: Int) -> [Int] {
    let step = Double(sourceCount) / Double(count)
    // Added up, not multiplied, since Pillow does so: at a tie the rounding decides.
    var place = step * 0.5
    return (0..<count).map { _ in
      defer { place += step }
      return min(Int(place), sourceCount - 1)
    }
  }
}
