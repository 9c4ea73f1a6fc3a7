import FlowTestSupport
import Foundation
import Testing

@testable import FlowCore

/// Control images against OpenCV and Pillow (`Scripts/fixtures/control_images.py`).
@Suite struct ControlImageTests {
  private static let images = ["drawing", "odd", "photo", "line"]

  private static func bytes(_ name: String) throws -> (pixels: [UInt8], shape: [Int]) {
    let golden = try Golden("control_images.safetensors", in: .module)
    return (try golden.floats(name).map { UInt8($0) }, try golden.shape(name))
  }

  private static func image(_ name: String) throws -> PixelImage {
    let (pixels, shape) = try bytes(name)
    guard shape.count == 3 else {
      return PixelImage(gray: pixels, width: shape[1], height: shape[0])
    }
    return PixelImage(width: shape[1], height: shape[0], pixels: pixels)
  }

  /// Black and white in bits, as an image of the size of another.
  private static func bits(_ name: String, like other: PixelImage) throws -> PixelImage {
    let packed = try bytes(name).pixels
    let gray = (0..<other.width * other.height).map { index -> UInt8 in
      packed[index / 8] >> UInt8(7 - index % 8) & 1 == 1 ? 255 : 0
    }
    return PixelImage(gray: gray, width: other.width, height: other.height)
  }

  @Test("Edges are those of cv2.Canny, pixel for pixel", arguments: images)
  func canny(name: String) throws {
    let image = try Self.image("\(name).pixels")
    var canny = ControlImage(.canny)
    #expect(canny.cannyThresholds == 100...200)
    #expect(try canny(image) == Self.bits("\(name).canny", like: image))
    canny.cannyThresholds = 20...60
    #expect(try canny(image) == Self.bits("\(name).canny-low", like: image))
    canny.cannyThresholds = 50...150
    let gray = try Self.image("\(name).gray")
    #expect(try canny(gray) == Self.bits("\(name).canny-gray", like: image))
    canny.blursBeforeCanny = true
    #expect(try canny(image) == Self.bits("\(name).canny-blurred", like: image))
  }

  @Test("Weak edges count where they lead on from a strong one, whatever their way")
  func hysteresis() {
    // A ramp of 30 a pixel (a gradient of 120), which in the middle is a step of 60 (240).
    func image(step: Int) -> PixelImage {
      let gray = (0..<20 * 20).map { index -> UInt8 in
        let (x, y) = (index % 20, index / 20)
        let height = (8..<12).contains(y) ? step : 30
        return UInt8(100 + (x < 10 ? 0 : height))
      }
      return PixelImage(gray: gray, width: 20, height: 20)
    }
    let linked = ControlImage(.canny)(image(step: 60))
    #expect((0..<20).allSatisfy { y in (8..<12).contains { linked.pixels[3 * (20 * y + $0)] > 0 } })
    #expect(ControlImage(.canny)(image(step: 30)).pixels.allSatisfy { $0 == 0 })
  }

  @Test("Scribbles are those of web UIs but for rounding", arguments: images)
  func scribble(name: String) throws {
    let image = try Self.image("\(name).pixels")
    let scribble = ControlImage(.scribble)(image)
    let expected = try Self.bits("\(name).scribble", like: image)
    // Sums in another order: a pixel at the very threshold may fall to the other side.
    let differing = zip(scribble.pixels, expected.pixels).count { $0 != $1 } / 3
    #expect(differing <= image.width * image.height / 2000)
    if name != "line" { #expect(expected.pixels.contains(255)) }
  }

  @Test("Colors of squares, tiles, luma and CLIP's middle are Pillow's", arguments: images)
  func resized(name: String) throws {
    let image = try Self.image("\(name).pixels")
    var color = ControlImage(.color)
    #expect(color.colorSide == 64)
    color.colorSide = 16
    #expect(try color(image) == Self.image("\(name).color"))
    #expect(try ControlImage(.lumaDepth)(image) == Self.image("\(name).luma"))
    #expect(ControlImage(.tile)(image) == image)
    guard name != "line" else { return }
    var tile = ControlImage(.tile)
    tile.tileReduction = 4
    #expect(try tile(image) == Self.image("\(name).tile"))
    for side in [32, 100] {
      #expect(try image.bicubicMiddle(side: side) == Self.image("\(name).clip\(side)"))
    }
  }

  @Test(
    "A control image has its image's size, however small", arguments: ControlImage.Kind.allCases)
  func sizes(kind: ControlImage.Kind) {
    #expect(ControlImage.Kind(rawValue: kind.rawValue) == kind)
    for (width, height) in [(1, 1), (2, 1), (1, 3), (2, 2), (3, 70), (130, 4)] {
      let pixels = (0..<3 * width * height).map { UInt8(truncatingIfNeeded: $0 &* 37) }
      let image = ControlImage(kind)(PixelImage(width: width, height: height, pixels: pixels))
      #expect(image.width == width && image.height == height)
    }
    let empty = PixelImage(width: 0, height: 0, pixels: [])
    #expect(ControlImage(kind)(empty) == empty)
  }
}
