@testable import FlowImage

/// PNG files that libpng would not write.
enum HandmadePNG {
  /// A gray image of 8 bits whose compressed data is any bytes, with chunks after its header.
  static func file(
    width: Int, height: Int, data: [UInt8], after chunks: [UInt8] = []
  ) -> [UInt8] {
    var header: [UInt8] = []
    for number in [width, height] { header += bigEndian(UInt32(number)) }
    header += [8, 0, 0, 0, 0]
    return [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a] + chunk("IHDR", header)
      + chunks + chunk("IDAT", deflated(data)) + chunk("IEND", [])
  }

  /// A chunk of a text that is compressed.
  static func compressedText(_ text: [UInt8]) -> [UInt8] {
    chunk("zTXt", Array("k\0\0".utf8) + deflated(text))
  }

  private static func chunk(_ type: String, _ content: [UInt8]) -> [UInt8] {
    let body = Array(type.utf8) + content
    return bigEndian(UInt32(content.count)) + body + bigEndian(Inflation.checksum(body[...]))
  }

  private static func bigEndian(_ word: UInt32) -> [UInt8] {
    [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: word >> $0) }
  }

  /// zlib data of some bytes, uncompressed.
  static func deflated(_ bytes: [UInt8]) -> [UInt8] {
    // A stored block holds at most 65,535 bytes.
    var data: [UInt8] = [0x78, 0x01]
    var (low, high) = (1, 0)
    for byte in bytes {
      low = (low + Int(byte)) % 65521
      high = (high + low) % 65521
    }
    var rest = bytes[...]
    while !rest.isEmpty {
      let part = rest.prefix(65_535)
      rest = rest.dropFirst(part.count)
      let (count, complement) = (UInt16(part.count), ~UInt16(part.count))
      data += [
        rest.isEmpty ? 1 : 0, UInt8(count & 0xff), UInt8(count >> 8), UInt8(complement & 0xff),
        UInt8(complement >> 8),
      ]
      data += part
    }
    return data + [high >> 8, high & 0xff, low >> 8, low & 0xff].map { UInt8($0) }
  }
}
