internal import FlowCore

/// The scans of a JPEG file, counted without decoding anything.
///
/// Each scan of a progressive file is a pass over all pixels, and may have only a few bytes: a file
/// of some kilobytes can require minutes of work.
struct JPEGScans {
  /// The maximum number of scans in a file that is decoded.
  ///
  /// Encoders write at most about 20.
  static let maximumCount = 64

  /// The number of scans, counted up to one more than ``maximumCount``.
  let count: Int
  /// Whether the file has its end marker.
  let isComplete: Bool

  /// Counts the scans like a decoder: bytes that are not markers are skipped.
  init(_ bytes: [UInt8]) {
    var (count, isComplete, position) = (0, false, 2)
    let file = bytes.span
    while count <= Self.maximumCount {
      // Finds the next 0xff, then skips fill bytes.
      while position < file.count, file[position] != 0xff { position += 1 }
      while position < file.count, file[position] == 0xff { position += 1 }
      guard position < file.count else { break }
      let marker = file[position]
      position += 1
      switch marker {
      // Data bytes, restart markers and markers without content.
      case 0x00, 0x01, 0xd0...0xd8: continue
      case 0xd9: isComplete = true
      case 0xda: count += 1
      default: break
      }
      guard !isComplete, position + 2 <= file.count else { break }
      let length = Int(file[position]) << 8 + Int(file[position + 1])
      guard length >= 2 else { break }
      position += length
    }
    self.count = count
    self.isComplete = isComplete
  }
}
