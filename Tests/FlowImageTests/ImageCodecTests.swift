import FlowCore
import FlowTestSupport
import Foundation
import Testing

@testable import FlowImage

@Suite struct ImageCodecTests {
  private static func picture(width: Int, height: Int) -> PixelImage {
    var state: UInt32 = 1
    return PixelImage(
      width: width, height: height,
      pixels: (0..<3 * width * height).map { _ in
        state = state &* 1_664_525 &+ 1_013_904_223
        return UInt8(truncatingIfNeeded: state >> 24)
      })
  }

  @Test(
    "PNG brings every pixel and every text back", arguments: [(1, 1), (64, 64), (7, 33), (300, 2)])
  func png(width: Int, height: Int) throws {
    let picture = Self.picture(width: width, height: height)
    let texts = [
      (keyword: "parameters", text: "a fox\nSteps: 4"), (keyword: "more", text: "лиса 🦊"),
      (keyword: "Latin", text: "café"), (keyword: "none", text: ""),
    ]
    let bytes = try picture.png(texts: texts)
    #expect(try PixelImage(png: bytes) == picture)
    let read = try PNGChunks.texts(in: bytes)
    #expect(read.map(\.keyword) == texts.map(\.keyword) && read.map(\.text) == texts.map(\.text))
  }

  @Test(
    "JPEG brings a smooth image back about, at either sampling", arguments: [50, 89, 90, 100])
  func jpeg(quality: Int) throws {
    let pixels = (0..<48 * 32).flatMap { (index: Int) -> [UInt8] in
      [UInt8(index % 48 * 5), UInt8(index / 48 * 7), 90]
    }
    let picture = PixelImage(width: 48, height: 32, pixels: pixels)
    let read = try PixelImage(jpeg: picture.jpeg(quality: quality))
    #expect(read.width == 48 && read.height == 32)
    let worst = zip(read.pixels, pixels).map { abs(Int($0) - Int($1)) }.max() ?? 0
    #expect(worst <= 40)  // colors are blocks of 8 pixels, at half resolution
  }

  @Test("Every truncation and every flipped bit is an error or an image, never a crash")
  func hostilePNG() throws {
    let whole = try Self.picture(width: 5, height: 4).png(texts: [("parameters", "x")])
    for count in 0..<whole.count {
      let cut = Array(whole.prefix(count))
      // The last chunk holds no pixels: a file cut there is the whole image to libpng.
      if count < whole.count - 12 {
        #expect(throws: MediaError.self) { try PixelImage(png: cut) }
      }
      _ = try? PNGChunks.texts(in: cut)
    }
    for bit in 0..<whole.count * 8 {
      var bytes = whole
      bytes[bit / 8] ^= 1 << (bit % 8)
      _ = try? PixelImage(png: bytes, maximumPixelCount: 10_000)
      _ = try? PNGChunks.texts(in: bytes)
    }
  }

  @Test("A damaged JPEG is an error")
  func hostileJPEG() throws {
    let whole = try Self.picture(width: 16, height: 16).jpeg(quality: 90)
    for count in stride(from: 0, to: whole.count - 2, by: 7) {
      #expect(throws: MediaError.self) { try PixelImage(jpeg: Array(whole.prefix(count))) }
    }
  }

  @Test("An image beyond the bound is refused before it is decoded")
  func bomb() throws {
    let png = try Self.picture(width: 40, height: 30).png()
    let error = #expect(throws: MediaError.self) {
      try PixelImage(png: png, maximumPixelCount: 1199)
    }
    #expect(error?.message == "the PNG image is 40x30, beyond 1199 pixels")
    #expect(error?.code == .imageTooLarge)
  }

  @Test("Texts stand before the pixels, where readers that stop there see them")
  func chunksAreInOrder() throws {
    let bytes = try Self.picture(width: 2, height: 2).png(texts: [("a", "b")])
    #expect(String(decoding: bytes[12..<16], as: UTF8.self) == "IHDR")
    #expect(String(decoding: bytes[37..<41], as: UTF8.self) == "tEXt")
  }

  @Test("A contact sheet puts each image in its place, each pixel as a block")
  func sheet() {
    let pictures = (0..<3).map { index in
      PixelImage(width: 1, height: 1, pixels: [UInt8](repeating: UInt8(index), count: 3))
    }
    var layout = ContactSheet(columns: 2, scale: 2)
    layout.margin = 1
    let sheet = layout.sheet(of: pictures)
    #expect(sheet.width == 7 && sheet.height == 7)
    let red = (0..<7).map { y in (0..<7).map { x in Int(sheet.pixels[3 * (7 * y + x)]) } }
    #expect(red[1] == [255, 0, 0, 255, 1, 1, 255] && red[2] == red[1])
    #expect(red[4] == [255, 2, 2, 255, 255, 255, 255])
  }

  @Test("A file appears whole or not at all, and replaces another only on request")
  func atomic() throws {
    let folder = try TemporaryFolder()
    let path = "\(folder.path)/a.png"
    #expect(try AtomicFile.write([1, 2], to: path, overwriting: false))
    #expect(try !AtomicFile.write([3], to: path, overwriting: false))
    #expect(try Data(contentsOf: URL(filePath: path)) == Data([1, 2]))
    #expect(try AtomicFile.write([3], to: path, overwriting: true))
    #expect(try Data(contentsOf: URL(filePath: path)) == Data([3]))
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["a.png"])
    let error = #expect(throws: MediaError.self) {
      try AtomicFile.write([1], to: "\(folder.path)/no/a.png", overwriting: true)
    }
    #expect(error?.message == "cannot write '\(folder.path)/no/a.png': No such file or directory")
  }

  @Test(
    "A full disk is noticed while it is written to",
    .enabled(if: FileManager.default.fileExists(atPath: "/dev/full")))
  func full() {
    let descriptor = unsafe open("/dev/full", O_WRONLY)
    defer { close(descriptor) }
    #expect(!AtomicFile.writeAll([1, 2, 3], to: descriptor))
    #expect(errno == ENOSPC)
  }
}
