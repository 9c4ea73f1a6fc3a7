internal import FlowCore

/// Where a picture's first stored row and column belong (TIFF 6.0, tag 274).
///
/// A camera stores what its sensor saw, and says here how it was held.
enum EXIFOrientation: UInt32, CaseIterable {
  case topLeft = 1
  case topRight, bottomRight, bottomLeft, leftTop, rightTop, rightBottom, leftBottom

  /// Reads the tag of an EXIF block, which is a TIFF file of its own.
  ///
  /// What is damaged, missing or out of range counts as upright.
  init(exif bytes: ArraySlice<UInt8>) {
    self = TIFFFile(bytes)?.number(ofTag: 274).flatMap(Self.init) ?? .topLeft
  }

  /// Turns the stored pixels so that the picture stands upright.
  func upright(_ pixels: [UInt8], width: Int, height: Int) -> PixelImage {
    let (last, bottom) = (width - 1, (height - 1) * width)
    // The first pixel of the upright picture, and the ways to its right and lower neighbors.
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

/// A TIFF file, as far as single numbers of its first directory go (TIFF 6.0, section 2).
private struct TIFFFile {
  private let bytes: ArraySlice<UInt8>
  private let isBigEndian: Bool

  init?(_ bytes: ArraySlice<UInt8>) {
    self.bytes = bytes
    switch bytes.prefix(4) {
    case [0x4d, 0x4d, 0, 42]: isBigEndian = true
    case [0x49, 0x49, 42, 0]: isBigEndian = false
    default: return nil
    }
  }

  /// The value of a tag that is one number of 16 or 32 bits.
  func number(ofTag tag: UInt32) -> UInt32? {
    guard let start = number(at: 4, size: 4).map(Int.init),
      let count = number(at: start, size: 2).map(Int.init),
      let entry = (0..<count).lazy.map({ start + 2 + 12 * $0 })
        .first(where: { number(at: $0, size: 2) == tag }),
      number(at: entry + 4, size: 4) == 1
    else { return nil }
    switch number(at: entry + 2, size: 2) {
    case 3: return number(at: entry + 8, size: 2)
    case 4: return number(at: entry + 8, size: 4)
    default: return nil
    }
  }

  private func number(at offset: Int, size: Int) -> UInt32? {
    guard offset <= bytes.count - size else { return nil }
    let digits = bytes.dropFirst(offset).prefix(size)
    let ordered = isBigEndian ? Array(digits) : digits.reversed()
    return ordered.reduce(0) { $0 << 8 | UInt32($1) }
  }
}
