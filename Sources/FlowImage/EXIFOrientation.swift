internal import FlowCore

/// The orientation of an image's stored pixels (TIFF 6.0, tag 274).
///
/// A camera stores its sensor's pixels, and records here how it was held.
enum EXIFOrientation: UInt32, CaseIterable {
  case topLeft = 1
  case topRight, bottomRight, bottomLeft, leftTop, rightTop, rightBottom, leftBottom

  /// Reads the tag of an EXIF block, which has the structure of a TIFF file.
  ///
  /// A damaged, missing or invalid tag means upright.
  init(exif bytes: ArraySlice<UInt8>) {
    self = TIFFFile(bytes)?.number(ofTag: .orientation).flatMap(Self.init) ?? .topLeft
  }

  /// Rotates or mirrors the stored pixels so that the image is upright.
  func upright(_ pixels: [UInt8], width: Int, height: Int) -> PixelImage {
    let (last, bottom) = (width - 1, (height - 1) * width)
    // The first pixel of the upright image, and the offsets to its right and lower neighbors.
    let (first, right, down) =
      switch self {
      case .topLeft: (0, 1, width)
      case .topRight: (last, -1, width)
      case .bottomRight: (bottom + last, -1, -width)
      case .bottomLeft: (bottom, 1, -width)
      case .leftTop: (0, width, 1)
      case .rightTop: (bottom, -width, 1)
      case .rightBottom: (bottom + last, -width, -1)
      case .leftBottom: (last, width, -1)
      }
    guard self != .topLeft else { return PixelImage(width: width, height: height, pixels: pixels) }
    let isTurned = rawValue >= Self.leftTop.rawValue
    let (columns, rows) = isTurned ? (height, width) : (width, height)
    var turned = [UInt8](repeating: 0, count: pixels.count)
    let source = pixels.span
    var target = turned.mutableSpan
    for row in 0..<rows {
      for column in 0..<columns {
        let (from, to) = (3 * (first + row * down + column * right), 3 * (row * columns + column))
        for channel in 0..<3 { target[to + channel] = source[from + channel] }
      }
    }
    return PixelImage(width: columns, height: rows, pixels: turned)
  }
}
