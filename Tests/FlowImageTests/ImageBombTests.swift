import FlowCore
import FlowTestSupport
import Foundation
import Testing

@testable import FlowImage

/// Small files that ask for much work, and harmless ones that look damaged.
@Suite struct ImageBombTests {
  private static func bytes(_ name: String) throws -> [UInt8] {
    let folder = Bundle.module.bundleURL.appending(path: "Fixtures/pictures")
    return try Array(Data(contentsOf: folder.appending(path: name)))
  }

  /// A progressive file with its last scan many times.
  private static func progressive(scans: Int) throws -> [UInt8] {
    let bytes = try bytes("progressive.jpg")
    let last = try #require(
      bytes.indices.dropLast().last { bytes[$0] == 0xff && bytes[$0 + 1] == 0xda })
    let more = scans - JPEGScans(bytes).count
    let scan = bytes[last..<bytes.count - 2]
    return bytes[..<last] + [[UInt8]](repeating: Array(scan), count: more + 1).joined()
      + bytes.suffix(2)
  }

  @Test("Scans are counted as the decoder finds them, and no further than needed")
  func counted() throws {
    #expect(try JPEGScans(Self.bytes("progressive.jpg")).count == 10)
    let camera = JPEGScans(try Self.bytes("camera-1.jpg"))
    #expect(camera.count == 1 && camera.isComplete)
    let scans = JPEGScans(try Self.progressive(scans: 8000))
    #expect(scans.count == JPEGScans.maximumCount + 1 && !scans.isComplete)
  }

  @Test("The size is that of the decoder, whatever stands before the frame header")
  func header() throws {
    for name in ["camera-1.jpg", "progressive.jpg"] {
      let whole = try Self.bytes(name)
      let expected = try ImageHeader(of: whole)
      let marks: [[UInt8]] = [
        [0xff, 0xd0], [0xff, 0x01, 0xff, 0xff, 0xd7], [0xff, 0, 1, 2, 3],
        Array(repeating: [0xff, 0xfe, 0, 2], count: 9).flatMap(\.self),
      ]
      for mark in marks {
        let bytes = whole[..<2] + mark + whole[2...]
        #expect(try ImageHeader(of: Array(bytes)) == expected)
        #expect(try PixelImage(jpeg: Array(bytes)) == PixelImage(jpeg: whole))
      }
    }
  }

  @Test("A file of thousands of scans is refused before it is decoded")
  func scans() throws {
    let bomb = try Self.progressive(scans: 8000)
    let error = #expect(throws: MediaError.self) { try PixelImage(jpeg: bomb) }
    #expect(error?.message == "the JPEG image has more than 64 scans; save it again")
    let many = try PixelImage(jpeg: Self.progressive(scans: 64))
    #expect(many.width == 48 && many.height == 32)
  }

  @Test("Bytes before the end marker cost nothing", arguments: [3, 40, 4000])
  func junk(count: Int) throws {
    for name in ["camera-1.jpg", "progressive.jpg", "cmyk.jpg", "gray-blocks.jpg"] {
      let whole = try Self.bytes(name)
      let junk = [0, 0, 0x5a] + [UInt8](repeating: 0x11, count: count - 3)
      let image = try PixelImage(jpeg: whole.dropLast(2) + junk + whole.suffix(2))
      #expect(try image == PixelImage(jpeg: whole))
    }
  }

  @Test("An unknown revision of JFIF is only a warning")
  func revision() throws {
    let whole = try Self.bytes("pixel-blocks.jpg")
    let mark = try #require(whole.indices.first { whole[$0...].starts(with: "JFIF\0".utf8) })
    var later = whole
    later[mark + 5] = 3
    #expect(try PixelImage(jpeg: later) == PixelImage(jpeg: whole))
  }

  @Test("A truncated file is refused, whatever was appended to it")
  func truncated() throws {
    for name in ["camera-1.jpg", "progressive.jpg"] {
      let whole = try Self.bytes(name)
      for count in stride(from: whole.count / 2, to: whole.count - 40, by: 9) {
        let part = Array(whole.prefix(count))
        // A progressive file that ends after a scan is valid; its image is coarser.
        let ends: [[UInt8]] =
          [[], [0, 0, 0x5a], [0xff, 0xd0]] + (name == "camera-1.jpg" ? [[0xff, 0xd9]] : [])
        for end in ends {
          #expect(throws: MediaError.self) { try PixelImage(jpeg: part + end) }
        }
      }
    }
  }

  @Test("PNG data beyond the pixels is refused once it is beyond what an encoder may add")
  func data() throws {
    let pixels = [UInt8](repeating: 0, count: 64 * 65)
    func file(extra: Int) -> [UInt8] {
      HandmadePNG.file(
        width: 64, height: 64, data: pixels + [UInt8](repeating: 0, count: extra))
    }
    let black = PixelImage(
      width: 64, height: 64, pixels: [UInt8](repeating: 0, count: 3 * 64 * 64))
    #expect(try PixelImage(png: file(extra: 0)) == black)
    #expect(try PixelImage(png: file(extra: 1000)) == black)
    let error = #expect(throws: MediaError.self) { try PixelImage(png: file(extra: 100_000)) }
    #expect(
      error?.message
        == "the PNG image holds more data than the 4160 bytes of its pixels; save it again")
  }

  @Test("Texts are not decompressed where pixels are wanted")
  func texts() throws {
    let text = HandmadePNG.compressedText(Array("a fox".utf8))
    let texts = [UInt8](Array(repeating: text, count: 3).joined())
    let plain = HandmadePNG.file(width: 1, height: 1, data: [0, 7])
    let file = HandmadePNG.file(width: 1, height: 1, data: [0, 7], after: texts)
    #expect(PNGChunks.removingTexts(from: file) == plain)
    #expect(PNGChunks.removingTexts(from: plain) == plain)
    #expect(try PixelImage(png: file) == PixelImage(width: 1, height: 1, pixels: [7, 7, 7]))
    // What is no whole chunk is kept: the decoder says what is wrong with it.
    let cut = file[..<(33 + text.count + 10)]
    #expect(PNGChunks.removingTexts(from: Array(cut)) == file[..<33] + text.prefix(10).map(\.self))
    // A text in the header's place stays there, where no decoder takes it.
    let early = file[..<8] + text + file[8...]
    #expect(throws: MediaError.self) { try PixelImage(png: Array(early)) }
  }

  @Test("Decompression stops at its limit")
  func limit() {
    let data = HandmadePNG.deflated([UInt8](repeating: 7, count: 10_000_000))
    var count = 0
    let end = Inflation.decompress([data.indices], of: data, limit: 100_000) { count += $0.count }
    #expect(end == .limited && count <= 100_000)
  }

  @Test("The bytes of interlaced rows are those of the seven passes")
  func interlaced() {
    var header = HandmadePNG.file(width: 8, height: 8, data: [])
    #expect(PNGPixelData.byteCount(ofHeader: header) == 8 * 9)
    header[28] = 1
    // 1x1, 1x1, 2x1, 2x2, 4x2, 4x4 and 8x4 pixels, each row with its filter.
    #expect(PNGPixelData.byteCount(ofHeader: header) == 2 + 2 + 3 + 6 + 10 + 20 + 36)
  }
}
