/// The marker segments of a JPEG file (ITU-T T.81, annex B).
struct JPEGSegments {
  /// A segment before the first scan.
  struct Segment {
    /// The second byte of its marker.
    let marker: UInt8
    /// Its content, without marker and length.
    let content: ArraySlice<UInt8>
    /// The offset of the byte after it.
    let end: Int
  }

  /// The start of an EXIF segment's content (Exif 2.32, section 4.7.2).
  static let exifMark = Array("Exif\0\0".utf8)

  private static let startOfScan: UInt8 = 0xda
  private static let comment: UInt8 = 0xfe
  private static let application0: UInt8 = 0xe0
  private static let application1: UInt8 = 0xe1

  private let bytes: [UInt8]

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// The segments before the first scan; like in a decoder, bytes that are not markers are skipped.
  ///
  /// The segments are not stored: a file may have one in every four bytes.
  private var header: some Sequence<Segment> {
    sequence(state: 2) { [bytes] position -> Segment? in
      while true {
        // Finds the next 0xff, then skips fill bytes.
        while position < bytes.count, bytes[position] != 0xff { position += 1 }
        while position < bytes.count, bytes[position] == 0xff { position += 1 }
        guard position + 3 <= bytes.count else { return nil }
        let marker = bytes[position]
        switch marker {
        // Data bytes, temporary and restart markers have no content.
        case 0x00, 0x01, 0xd0...0xd7: position += 1
        case Self.startOfScan: return nil
        default:
          let content = position + 3
          let end = position + 1 + Int(bytes[position + 1]) << 8 + Int(bytes[position + 2])
          guard end >= content, end <= bytes.count else { return nil }
          position = end
          return Segment(marker: marker, content: bytes[content..<end], end: end)
        }
      }
    }
  }

  /// The EXIF block, if there is one before the first scan.
  var exif: ArraySlice<UInt8>? {
    header.first { $0.marker == Self.application1 && $0.content.starts(with: Self.exifMark) }?
      .content.dropFirst(Self.exifMark.count)
  }

  /// The size in the frame header, and whether the file is progressive; nil if there is no frame
  /// header before the first scan.
  var frame: (width: Int, height: Int, isProgressive: Bool)? {
    let tables: [UInt8] = [0xc4, 0xc8, 0xcc]
    guard
      let frame = header.first(where: {
        (0xc0...0xcf).contains($0.marker) && !tables.contains($0.marker)
      }), frame.content.count >= 6
    else { return nil }
    let bytes = frame.content.dropFirst().prefix(4).map(Int.init)
    return (
      bytes[2] << 8 + bytes[3], bytes[0] << 8 + bytes[1],
      ![0xc0, 0xc1, 0xc3, 0xc9, 0xcb].contains(frame.marker)
    )
  }

  /// The comments before the first scan.
  var comments: [String] {
    Array(
      header.lazy.filter { $0.marker == Self.comment }
        .compactMap { UserComment.trimmed(String(decoding: $0.content, as: UTF8.self)) })
  }

  /// A JPEG file with an EXIF block after its JFIF header.
  ///
  /// - Precondition: the block fits a segment.
  static func adding(exif: [UInt8], to bytes: [UInt8]) -> [UInt8] {
    let content = exifMark + exif
    precondition(content.count <= 65_533, "an EXIF block of \(exif.count) bytes fits in no segment")
    let length = content.count + 2
    let first = JPEGSegments(bytes).header.first { _ in true }
    let place = first.flatMap { $0.marker == application0 ? $0.end : nil } ?? 2
    return bytes[..<place] + [0xff, application1, UInt8(length >> 8), UInt8(length & 0xff)]
      + content + bytes[place...]
  }
}
