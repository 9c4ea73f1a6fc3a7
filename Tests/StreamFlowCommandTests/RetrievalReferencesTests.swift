import ArgumentParser
import FlowCore
import FlowImage
import FlowTestSupport
import Foundation
import Testing

@testable import StreamFlowCommand

/// The references of the quality and editing suites: a disk and a ring of one color, each in two sizes.
@Suite struct RetrievalReferencesTests {
  private static let side = 128
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// How much of a pixel a subject covers.
  private static func covers(_ thing: Int, _ variant: Int, _ x: Int, _ y: Int) -> Bool {
    let distance = (Double(x - 63) * Double(x - 63) + Double(y - 63) * Double(y - 63)).squareRoot()
    let radius = variant == 0 ? 40.0 : 28.0
    return distance <= radius && (thing == 0 || distance > radius / 2)
  }

  private func write(_ change: (inout [String: Any]) -> Void = { _ in }) throws -> String {
    // Without transparency in the writer of these tests: the sheet is a PNG with alpha by hand.
    let side = Self.side
    var rows: [UInt8] = []
    for y in 0..<side {
      rows.append(0)
      for image in 0..<4 {
        for x in 0..<side {
          let isCovered = Self.covers(image / 2, image % 2, x, y)
          rows += isCovered ? [230, 200, 20, 255] : [0, 0, 0, 0]
        }
      }
    }
    _ = try folder.write(
      PNGWithAlpha.file(width: 4 * side, height: side, rows: rows), as: "sheet.png")
    var values: [String: Any] = [
      "sheet": "sheet.png", "side": side, "columns": 4, "variants": 2, "shift": 16, "reach": 1,
      "things": ["disk", "ring"], "backgrounds": [[60, 120, 220], [220, 60, 50]],
      "prompts": [
        ["prompt": "disk on a blue background", "thing": 0, "background": 0],
        ["prompt": "ring on a red background", "thing": 1, "background": 1],
      ],
    ]
    change(&values)
    _ = try folder.write(
      Array(try JSONSerialization.data(withJSONObject: values)), as: "references.json")
    return folder.path
  }

  /// A subject moved over a color that changes from left to right.
  private func image(_ thing: Int, _ variant: Int, movedBy move: (x: Int, y: Int)) -> PixelImage {
    let side = Self.side
    var pixels: [UInt8] = []
    for y in 0..<side {
      for x in 0..<side {
        let isCovered = Self.covers(thing, variant, x - move.x, y - move.y)
        pixels += isCovered ? [230, 200, 20] : [UInt8(40 + x / 3), 120, 220]
      }
    }
    return PixelImage(width: side, height: side, pixels: pixels)
  }

  @Test(
    "A subject is found wherever the model put it, on the background that the image has",
    arguments: [(0, 0), (-16, 16)], [0, 1])
  func places(move: (Int, Int), variant: Int) throws {
    let references = try RetrievalReferences(folder: write())
    for thing in 0..<2 {
      let image = image(thing, variant, movedBy: (move.0, move.1))
      #expect(references.nearestThing(to: image) == thing)
      let own = references.rank(of: image, prompt: thing)
      #expect(own.place == 0 && own.psnr > 35, "\(own)")
      #expect(references.rank(of: image, prompt: 1 - thing).place == 1)
      #expect(references.nearestBackground(to: image) == 0)
    }
  }

  @Test("A reference on its background is itself, and its parts are known")
  func pictures() throws {
    let references = try RetrievalReferences(folder: write())
    let ring = references.picture(thing: 1, background: 1)
    let (corner, left) = (0, 63 * 128 + 33)
    let colors = [corner, left].map { Array(ring.pixels[3 * $0..<3 * $0 + 3]) }
    #expect(colors == [[220, 60, 50], [230, 200, 20]])
    #expect(references.nearestThing(to: ring) == 1 && references.nearestBackground(to: ring) == 1)
    // Nothing is rounded where nothing is mixed.
    #expect(references.rank(of: ring, prompt: 1).psnr > 40)
    let parts = references.parts(of: 1)
    let middle = 63 * 128 + 63
    #expect(parts.subject[left] && !parts.background[left])
    #expect(parts.background[middle] && parts.background[corner] && !parts.subject[corner])
  }

  @Test("A subject that reaches the border does not tint the background")
  func border() throws {
    let side = 32
    var pixels: [Int32] = []
    for y in 0..<side {
      for x in 0..<side {
        pixels += x >= 24 && y < 20 ? [255, 255, 255] : [50, 100, 150 + Int32(y)]
      }
    }
    let fit = BackgroundFit(pixels, side: side)
    #expect(fit.values[0] == 50 && fit.values[1] == 100 && fit.values[2] == 150)
    #expect(fit.values[3 * (side * side - 1) + 2] == 181)
  }

  @Test("Damaged references are errors that name the value")
  func errors() throws {
    for (key, value, words) in [
      ("side", 4, "side must be 8 to 1024, got 4"), ("columns", 0, "columns must be 1"),
      ("variants", Int.max, "variants must be 1 to 16"),
      ("shift", 17, "shift must be a multiple of 2"),
      ("reach", 8, "below the side (128)"), ("reach", 9, "reach must be 0 to 8, got 9"),
      ("columns", 5, "too small"),
    ] as [(String, Int, String)] {
      let path = try write { $0[key] = value }
      let error = #expect(throws: ValidationError.self) { try RetrievalReferences(folder: path) }
      #expect("\(error.map(\.message) ?? "")".contains(words), "\(key) \(value): \(error as Any)")
    }
    let references = try RetrievalReferences(folder: write())
    let error = #expect(throws: ValidationError.self) {
      try references.check(width: 64, height: 64, of: "starter")
    }
    #expect(error?.message.contains("128x128") == true && error?.message.contains("64x64") == true)
  }
}

/// A PNG file with transparency, stored without compression.
enum PNGWithAlpha {
  /// - Parameter rows: each row after a zero, red, green, blue and opacity of each pixel.
  static func file(width: Int, height: Int, rows: [UInt8]) -> [UInt8] {
    func word(_ value: UInt32) -> [UInt8] {
      (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) }
    }
    func chunk(_ name: String, _ body: [UInt8]) -> [UInt8] {
      let named = Array(name.utf8) + body
      return word(UInt32(body.count)) + named + word(crc(named))
    }
    var stream: [UInt8] = [0x78, 0x01]
    var rest = rows[...]
    while !rest.isEmpty {
      let part = rest.prefix(65_535)
      rest = rest.dropFirst(65_535)
      let count = UInt16(part.count)
      stream += [rest.isEmpty ? 1 : 0, UInt8(truncatingIfNeeded: count), UInt8(count >> 8)]
      stream += [UInt8(truncatingIfNeeded: ~count), UInt8(~count >> 8)] + part
    }
    var (one, other): (UInt32, UInt32) = (1, 0)
    for byte in rows {
      one = (one + UInt32(byte)) % 65_521
      other = (other + one) % 65_521
    }
    stream += word(other << 16 | one)
    return [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]
      + chunk("IHDR", word(UInt32(width)) + word(UInt32(height)) + [8, 6, 0, 0, 0])
      + chunk("IDAT", stream) + chunk("IEND", [])
  }

  private static func crc(_ bytes: [UInt8]) -> UInt32 {
    ~bytes.reduce(UInt32.max) { crc, byte in
      (0..<8).reduce(crc ^ UInt32(byte)) { value, _ in
        value & 1 == 1 ? value >> 1 ^ 0xedb8_8320 : value >> 1
      }
    }
  }
}
