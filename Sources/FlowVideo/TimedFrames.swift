internal import FlowCore

/// Raw RGB frames with times in Matroska, the format in which ffmpeg reads a variable rate from a
/// pipe.
///
/// Times are in microseconds. Each frame is a separate cluster, so that later frames need not be
/// known.
struct TimedFrames: Sendable {
  let size: PixelSize

  /// The input arguments of ffmpeg; the first frame contains all parameters.
  static let inputArguments = [
    "-probesize", "32", "-analyzeduration", "0", "-f", "matroska", "-i", "pipe:0",
  ]

  /// The data before the first frame.
  var header: [UInt8] {
    let kind = Self.element(
      [0x1a, 0x45, 0xdf, 0xa3],
      Self.element([0x42, 0x82], Array("matroska".utf8))
        + Self.element([0x42, 0x87], [4]) + Self.element([0x42, 0x85], [2]))
    // A segment of unknown length.
    let segment: [UInt8] = [0x18, 0x53, 0x80, 0x67, 0x01] + [UInt8](repeating: 0xff, count: 7)
    let information = Self.element(
      [0x15, 0x49, 0xa9, 0x66], Self.element([0x2a, 0xd7, 0xb1], Self.bytes(of: 1000)))
    let video =
      Self.element([0xb0], Self.bytes(of: UInt64(size.width)))
      + Self.element([0xba], Self.bytes(of: UInt64(size.height)))
      + Self.element([0x2e, 0xb5, 0x24], Array("RGB".utf8) + [24])
    let track =
      Self.element([0xd7], [1]) + Self.element([0x73, 0xc5], [1]) + Self.element([0x83], [1])
      + Self.element([0x86], Array("V_UNCOMPRESSED".utf8)) + Self.element([0xe0], video)
    let tracks = Self.element([0x16, 0x54, 0xae, 0x6b], Self.element([0xae], track))
    return kind + segment + information + tracks
  }

  /// The data before the pixels of a frame with a start time.
  func prefix(at time: Duration) -> [UInt8] {
    let (seconds, attoseconds) = time.components
    let microseconds = UInt64(max(seconds * 1_000_000 + attoseconds / 1_000_000_000_000, 0))
    let pixels = 3 * size.width * size.height
    let clock = Self.element([0xe7], Self.bytes(of: microseconds))
    // The track, the time within the cluster, and the flag of a key frame.
    let block: [UInt8] = [0xa3] + Self.length(pixels + 4) + [0x81, 0, 0, 0x80]
    return [0x1f, 0x43, 0xb6, 0x75] + Self.length(clock.count + block.count + pixels) + clock
      + block
  }

  private static func element(_ identifier: [UInt8], _ content: [UInt8]) -> [UInt8] {
    identifier + length(content.count) + content
  }

  /// A length encoded in eight bytes, as its first byte specifies.
  private static func length(_ count: Int) -> [UInt8] { [1] + bytes(of: UInt64(count)).dropFirst() }

  private static func bytes(of number: UInt64) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * UInt64($0))) }
  }
}
