/// Computes control images for ControlNets and T2I-Adapters without a network.
///
/// ```swift
/// let edges = ControlImage(.canny)(photo)
/// ```
public struct ControlImage: Hashable, Sendable {
  /// The content of a control image.
  public enum Kind: String, CaseIterable, Sendable {
    /// White edges on black (Canny, 1986).
    case canny
    /// White strokes on black where the image is darker than its surroundings.
    case scribble
    /// The colors of large squares, for color adapters.
    case color
    /// The image itself, for ControlNets that add detail.
    case tile
    /// Its luma as a substitute for a measured depth: bright pixels are near.
    case lumaDepth = "luma-depth"
  }

  /// The content of the control image.
  public var kind: Kind
  /// Gradients above the upper bound are edges, and gradients above the lower one are edges if they
  /// are connected to an edge; the defaults are OpenCV's usual ones.
  public var cannyThresholds = 100...200
  /// Whether edges are detected in the image blurred by 5 x 5 pixels; `cv2.Canny` does not blur.
  public var blursBeforeCanny = false
  /// The minimum darkening of a scribble's stroke against its surroundings, of 255, in each
  /// channel.
  public var scribbleContrast: Float = 16
  /// The side in pixels of a square of one color.
  public var colorSide = 64
  /// The factor by which a tile's content is downsampled, 1 for none.
  public var tileReduction = 1

  /// Creates a converter with the usual settings.
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
  /// - Parameter gray: a value for each pixel.
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

  /// The image downsampled by an integer factor, with sides of at least one pixel.
  fileprivate func reduced(by factor: Int) -> PixelImage {
    precondition(factor > 0, "cannot reduce an image by \(factor)")
    return resizedBicubically(
      width: max(width / factor, 1), height: max(height / factor, 1))
  }

  /// The image resized to another's size by nearest neighbor, as Pillow's `NEAREST`.
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
  /// The nearest positions along an axis for another length.
  private static func nearest(of sourceCount: Int, count: Int) -> [Int] {
    let step = Double(sourceCount) / Double(count)
    // Accumulated, not multiplied, as in Pillow: the rounding decides ties.
    var place = step * 0.5
    return (0..<count).map { _ in
      defer { place += step }
      return min(Int(place), sourceCount - 1)
    }
  }
}
