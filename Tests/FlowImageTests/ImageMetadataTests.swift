import FlowCore
import FlowTestSupport
import Foundation
import Testing

@testable import FlowImage

/// Files with settings as other programs store them (`Scripts/fixtures/metadata.py`).
@Suite struct ImageMetadataTests {
  private static let folder = Bundle.module.bundleURL.appending(path: "Fixtures/metadata")
  private static let text =
    "a fox, лиса 🦊\nNegative prompt: red\nSteps: 4, Sampler: Euler, CFG scale: 2, Seed: 7, Size: 64x64"

  private static func metadata(_ name: String) throws -> ImageMetadata {
    try ImageMetadata(path: folder.appending(path: name).path)
  }

  @Test(
    "Settings are read from each place and encoding in use",
    arguments: [
      "piexif.jpg", "little-endian.jpg", "other-order.jpg", "byte-order-mark.jpg", "utf-8.jpg",
      "no-character-set.jpg", "itxt.png", "itxt-compressed.png", "exif.png",
    ])
  func read(name: String) throws { #expect(try Self.metadata(name).parameters == Self.text) }

  @Test("A compressed Latin text, a blank comment and a comment segment")
  func others() throws {
    #expect(try Self.metadata("ztxt.png").parameters == "a café\nSteps: 4")
    #expect(try Self.metadata("blank.jpg").texts.isEmpty)
    let comment = try Self.metadata("comment.jpg")
    #expect(comment.parameters == nil)
    #expect(comment.texts == [ImageMetadata.Text(keyword: "Comment", text: Self.text)])
  }

  private let image = PixelImage(width: 2, height: 1, pixels: [10, 20, 30, 40, 50, 60])

  @Test("A JPEG file stores settings as piexif does, after its JFIF header")
  func written() throws {
    let bytes = try image.jpeg(quality: 90, parameters: Self.text)
    #expect(try ImageMetadata(of: bytes).parameters == Self.text)
    #expect(try PixelImage(jpeg: bytes) == PixelImage(jpeg: image.jpeg(quality: 90)))
    let reference = try Array(Data(contentsOf: Self.folder.appending(path: "piexif.jpg")))
    func comment(_ bytes: [UInt8]) -> [UInt8]? {
      JPEGSegments(bytes).exif.flatMap(TIFFFile.init)?.bytes(ofTag: .userComment).map(Array.init)
    }
    #expect(comment(bytes) == comment(reference) && comment(bytes) != nil)
    // JFIF must come first: start of image, 18 bytes of header, the EXIF segment.
    #expect(bytes[3] == 0xe0 && Array(bytes[20..<22]) == [0xff, 0xe1])
  }

  @Test("Settings beyond an EXIF segment keep their last line")
  func long() throws {
    func stored(_ text: String) throws -> String? {
      try ImageMetadata(of: image.jpeg(quality: 90, parameters: text)).parameters
    }
    let fits = String(repeating: "л", count: UserComment.capacity / 2)
    #expect(try stored(fits) == fits)
    let ascii = String(repeating: "a", count: UserComment.capacity)
    #expect(try stored(ascii) == ascii)
    let shortened = try #require(try stored(fits + "🦊\nSteps: 4"))
    #expect(shortened.hasPrefix("лл") && shortened.hasSuffix("л...\nSteps: 4"))
    #expect(shortened.utf16.count == UserComment.capacity / 2)
    let line = try #require(try stored(ascii + ascii))
    #expect(line.hasSuffix("a...") && line.utf16.count == UserComment.capacity / 2)
  }

  @Test(
    "Every truncation and flipped byte is an error or texts",
    arguments: ["piexif.jpg", "little-endian.jpg", "itxt-compressed.png", "ztxt.png", "exif.png"])
  func hostile(name: String) throws {
    let whole = try Array(Data(contentsOf: Self.folder.appending(path: name)))
    for index in whole.indices {
      _ = try? ImageMetadata(of: Array(whole[..<index]))
      for flip in [0x01, 0x80, 0xff] as [UInt8] {
        var bytes = whole
        bytes[index] ^= flip
        _ = try? ImageMetadata(of: bytes)
      }
    }
  }

  @Test("A text that decompresses beyond its limit is left out")
  func bomb() {
    let zeros = [UInt8](repeating: 0x61, count: 100_000)
    let body = HandmadePNG.deflated(zeros)
    func text(_ part: Range<Int>, limit: Int) -> (text: [UInt8]?, rest: Int) {
      var room = limit
      return (Inflation.text(part, of: body, room: &room), room)
    }
    #expect(text(body.indices, limit: zeros.count + 5) == (zeros, 5))
    #expect(text(body.indices, limit: zeros.count) == (zeros, 0))
    #expect(text(body.indices, limit: zeros.count - 1) == (nil, 0))
    #expect(text(0..<body.count - 1, limit: zeros.count).text == nil)
    #expect(text(1..<body.count, limit: zeros.count) == (nil, zeros.count))
  }

  @Test("Compressed texts have at most 8 MB together")
  func bombs() throws {
    let text = HandmadePNG.compressedText([UInt8](repeating: 0x61, count: 3 << 20))
    let texts = Array(repeating: text, count: 5).joined()
    let file = HandmadePNG.file(width: 1, height: 1, data: [0, 0], after: Array(texts))
    #expect(try ImageMetadata(of: file).texts.count == 2)
  }
}
