/// Where an image is repainted.
///
/// Each pixel has a coverage of 0, where the image stays, to 255, where it is repainted. A mask drawn
/// as an image is white where the image is repainted, as diffusers and AUTOMATIC1111's web UI read it.
public struct ImageMask: Hashable, Sendable {
  /// The width in pixels.
  public let width: Int
  /// The height in pixels.
  public let height: Int
  /// The coverage of each pixel, row by row from the top left.
  public let coverage: [UInt8]

  /// Creates a mask from the coverage of its pixels.
  ///
  /// - Precondition: there are `width * height` of them.
  public init(width: Int, height: Int, coverage: [UInt8]) {
    precondition(
      coverage.count == width * height,
      "\(width)x\(height) needs \(width * height) bytes, got \(coverage.count)")
    self.width = width
    self.height = height
    self.coverage = coverage
  }

  /// Creates a mask from a drawn one: its luma (ITU-R BT.601, as Pillow's `L`).
  public init(luma image: PixelImage) {
    let pixels = image.pixels.span
    let coverage = (0..<image.width * image.height).map { index in
      let (red, green, blue) = (
        UInt32(pixels[3 * index]), UInt32(pixels[3 * index + 1]), UInt32(pixels[3 * index + 2])
      )
      return UInt8(truncatingIfNeeded: (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16)
    }
    self.init(width: image.width, height: image.height, coverage: coverage)
  }

  /// The mask as an image: white where it repaints.
  public var image: PixelImage {
    PixelImage(
      width: width, height: height, pixels: coverage.flatMap { [$0, $0, $0] })
  }

  /// The mask that repaints what this one leaves.
  public var inverted: ImageMask {
    ImageMask(width: width, height: height, coverage: coverage.map { 255 - $0 })
  }

  /// Whether it repaints nothing.
  public var isEmpty: Bool { coverage.allSatisfy { $0 == 0 } }

  /// The smallest rectangle that holds all pixels that are repainted; nil where there are none.
  public var bounds: PixelRegion? {
    var (left, top, right, bottom) = (width, height, -1, -1)
    let coverage = coverage.span
    for y in 0..<height {
      for x in 0..<width where coverage[y * width + x] > 0 {
        (left, right) = (min(left, x), max(right, x))
        (top, bottom) = (min(top, y), max(bottom, y))
      }
    }
    guard right >= 0 else { return nil }
    return PixelRegion(x: left, y: top, width: right - left + 1, height: bottom - top + 1)
  }

  /// The mask on a grid of cells, such as latent pixels: 1 for a cell of which a pixel is at least
  /// half covered, else 0; `[1, height, width]`.
  ///
  /// - Precondition: the cell's side divides width and height.
  public func cells(side: Int) -> Latents {
    precondition(
      side > 0 && width.isMultiple(of: side) && height.isMultiple(of: side),
      "cells of \(side) pixels in \(width)x\(height)")
    let (columns, rows) = (width / side, height / side)
    var cells = [Float](repeating: 0, count: columns * rows)
    let coverage = coverage.span
    for y in 0..<height {
      for x in 0..<width where coverage[y * width + x] >= 128 {
        cells[y / side * columns + x / side] = 1
      }
    }
    return Latents(shape: [1, rows, columns], scalars: cells)
  }
}

/// A rectangle of pixels.
public struct PixelRegion: Hashable, Sendable {
  /// The left edge.
  public var x: Int
  /// The top edge.
  public var y: Int
  /// The width.
  public var width: Int
  /// The height.
  public var height: Int

  /// Creates a rectangle.
  public init(x: Int, y: Int, width: Int, height: Int) {
    self.x = x
    self.y = y
    self.width = width
    self.height = height
  }
}
