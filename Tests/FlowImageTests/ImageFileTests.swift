import FlowCore
import FlowTestSupport
import Foundation
import Testing

@testable import FlowImage

/// Files of Pillow's, each beside what Pillow itself sees in it (`Scripts/fixtures/pictures.py`).
@Suite struct ImageFileTests {
  private static let folder = Bundle.module.bundleURL.appending(path: "Fixtures/pictures")
  private static let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.path))?
    .filter { !$0.hasSuffix(".ppm") }.sorted()

  private static func bytes(of name: String) throws -> [UInt8] {
    try Array(Data(contentsOf: folder.appending(path: name)))
  }

  /// A PPM file: `P6`, width, height and 255 on lines of their own, and the pixels.
  private static func expected(for name: String) throws -> PixelImage {
    let file = try bytes(of: "\(name.prefix { $0 != "." }).ppm")
    let words = file.split(maxSplits: 4, omittingEmptySubsequences: true) { $0 == 10 || $0 == 32 }
    let sizes = words[1...2].compactMap { Int(String(decoding: $0, as: UTF8.self)) }
    return PixelImage(
      width: sizes[0], height: sizes[1], pixels: file.suffix(3 * sizes[0] * sizes[1]))
  }

  @Test("An image of any kind looks as in Pillow: upright, and over white", arguments: files ?? [])
  func kinds(name: String) throws {
    let picture = try PixelImage(imageAt: Self.folder.appending(path: name).path)
    let expected = try Self.expected(for: name)
    #expect(picture.width == expected.width && picture.height == expected.height)
    let worst = zip(picture.pixels, expected.pixels).map { abs(Int($0) - Int($1)) }.max() ?? 0
    // PNG: rounding of 16 bits and of blends. JPEG: another release of the same library.
    #expect(worst <= (name.hasSuffix(".png") ? 1 : 2))
  }

  @Test("No file of the fixtures is forgotten")
  func count() { #expect(Self.files?.count == 33) }

  @Test("Transparent pixels take the background's color, half of it where they are half so")
  func background() throws {
    let bytes = try Self.bytes(of: "rgba.png")
    let black = try PixelImage(picture: bytes, background: .black)
    let white = try PixelImage(picture: bytes, background: .white)
    #expect(black.pixels[..<3] == [0, 0, 0] && white.pixels[..<3] == [255, 255, 255])
    // The pixel at (1, 0) is (50, 20, 225) with an alpha of 50.
    #expect(black.pixels[3..<6] == [10, 4, 44] && white.pixels[3..<6] == [215, 209, 249])
  }

  @Test("EXIF of any bytes gives an orientation, upright if it is invalid")
  func hostileEXIF() throws {
    let sound: [UInt8] = [
      0x49, 0x49, 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0,
    ]
    #expect(EXIFOrientation(exif: sound[...]) == .rightTop)
    for count in 0..<20 { #expect(EXIFOrientation(exif: sound[..<count]) == .topLeft) }
    for position in sound.indices {
      for value in [0, 1, 0x7f, 0x80, 0xff] as [UInt8] {
        var bytes = sound
        bytes[position] = value
        _ = EXIFOrientation(exif: bytes[...])
      }
    }
    for number in [0, 9, 0xff] as [UInt8] {
      var bytes = sound
      bytes[18] = number
      #expect(EXIFOrientation(exif: bytes[...]) == .topLeft)
    }
  }

  @Test(
    "Every truncation and flipped byte of a file with EXIF is an error or an image",
    arguments: ["orientation-6.png", "camera-6.jpg", "cmyk.jpg"])
  func hostile(name: String) throws {
    let whole = try Self.bytes(of: name)
    for index in stride(from: 0, to: whole.count, by: 3) {
      _ = try? PixelImage(picture: Array(whole[..<index]))
      var bytes = whole
      bytes[index] ^= 0xff
      _ = try? PixelImage(picture: bytes, maximumPixelCount: 10_000)
    }
  }

  @Test(
    "A file of another format is named",
    arguments: [
      ("GIF89a....", "a GIF image"), ("RIFF....WEBPVP8 ", "a WebP image"),
      ("....ftypavif", "an AVIF image"), ("....ftypisom", "a video (MP4 or QuickTime)"),
      ("", "an empty file"),
      ("hello", "a file of an unknown format (it begins with 68 65 6c 6c 6f)"),
    ])
  func unsupported(start: String, name: String) throws {
    let error = #expect(throws: MediaError.self) { try PixelImage(picture: Array(start.utf8)) }
    #expect(error?.code == .formatUnsupported)
    #expect(error?.message == "this is \(name); PNG and JPEG images are read")
  }

  @Test("A path that leads to no image says why")
  func paths() throws {
    let folder = try TemporaryFolder()
    func message(_ path: String) -> String? {
      #expect(throws: MediaError.self) { try PixelImage(imageAt: path) }?.message
    }
    let missing = "\(folder.path)/none.png"
    #expect(message(missing) == "there is no file '\(missing)'")
    #expect(message(folder.path) == "cannot read '\(folder.path)': it is a folder")
    let text = try folder.write(Array("a text".utf8), as: "text.png")
    #expect(message(text)?.hasPrefix("cannot read '\(text)': this is a file of") == true)
    let cut = try folder.write(Array(Self.bytes(of: "rgb.png").prefix(50)), as: "cut.png")
    #expect(message(cut)?.hasPrefix("cannot read '\(cut)': ") == true)
    let closed = try folder.write([1], as: "closed.png")
    try FileManager.default.setAttributes([.posixPermissions: 0], ofItemAtPath: closed)
    // The superuser may read it, and finds no image.
    #expect(message(closed)?.hasPrefix("cannot read '\(closed)': ") == true)
  }
}
