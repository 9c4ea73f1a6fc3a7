public import FlowCore

/// A grid of images on one larger image.
public struct ContactSheet: Sendable {
  /// The number of images per row.
  public var columns: Int
  /// The integer enlargement factor of pixels.
  public var scale: Int
  /// The white margin around each image, in pixels of the sheet.
  public var margin = 8

  /// Creates a layout.
  ///
  /// - Precondition: both numbers are positive.
  public init(columns: Int, scale: Int = 1) {
    precondition(columns > 0 && scale > 0, "a sheet needs a column and a scale")
    self.columns = columns
    self.scale = scale
  }

  /// Arranges images of one size row by row.
  ///
  /// - Precondition: there is at least one image, and all have the same size.
  public func sheet(of pictures: [PixelImage]) -> PixelImage {
    precondition(!pictures.isEmpty, "a sheet needs an image")
    let (width, height) = (pictures[0].width * scale, pictures[0].height * scale)
    precondition(
      pictures.allSatisfy { $0.width * scale == width && $0.height * scale == height },
      "the images of a sheet are of one size")
    let columns = min(columns, pictures.count)
    let rows = (pictures.count + columns - 1) / columns
    let sheetWidth = margin + columns * (width + margin)
    let sheetHeight = margin + rows * (height + margin)
    var pixels = [UInt8](repeating: 255, count: 3 * sheetWidth * sheetHeight)
    for (index, picture) in pictures.enumerated() {
      let left = margin + index % columns * (width + margin)
      let top = margin + index / columns * (height + margin)
      for y in 0..<height {
        var target = 3 * ((top + y) * sheetWidth + left)
        for x in 0..<width {
          let source = 3 * (y / scale * picture.width + x / scale)
          for channel in 0..<3 { pixels[target + channel] = picture.pixels[source + channel] }
          target += 3
        }
      }
    }
    return PixelImage(width: sheetWidth, height: sheetHeight, pixels: pixels)
  }
}
