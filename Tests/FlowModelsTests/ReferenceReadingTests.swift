import FlowCore
import Testing

@testable import FlowModels

/// The sizes of reference images, which are those of diffusers' pipelines.
@Suite struct ReferenceReadingTests {
  private static func size(_ width: Int, _ height: Int) -> PixelSize {
    PixelSize(width: width, height: height)
  }

  @Test(
    "FLUX.2 reduces large images to a million pixels and crops all to multiples",
    arguments: [
      // Flux2ImageProcessor._resize_to_target_area, and multiples of 16.
      (size(72, 64), size(72, 64), size(64, 64)),
      (size(1024, 1024), size(1024, 1024), size(1024, 1024)),
      (size(4000, 3000), size(1182, 886), size(1168, 880)),
      (size(1025, 1024), size(1024, 1023), size(1024, 1008)),
      (size(500, 4000), size(362, 2896), size(352, 2896)),
    ])
  func cropped(image: PixelSize, resized: PixelSize, encoded: PixelSize) throws {
    let size = try ReferenceReading.cropped.size(of: image, area: nil, multiple: 16)
    #expect(size.resized == resized && size.encoded == encoded)
  }

  @Test(
    "Kontext stretches images to the nearest size of its training",
    arguments: [
      (size(1024, 1024), size(1024, 1024)), (size(64, 64), size(1024, 1024)),
      (size(1920, 1080), size(1392, 752)), (size(1080, 1920), size(752, 1392)),
      (size(100, 5000), size(672, 1568)), (size(640, 480), size(1184, 880)),
    ])
  func preferred(image: PixelSize, expected: PixelSize) throws {
    let size = try ReferenceReading.preferredSizes.size(of: image, area: nil, multiple: 16)
    #expect(size.resized == expected && size.encoded == expected)
    let own = try ReferenceReading.preferredSizes.size(of: image, area: 90_000, multiple: 16)
    #expect(own.resized == own.encoded && own.encoded.width * own.encoded.height <= 90_000)
  }

  @Test("An image of less than one patch has no size")
  func small() {
    for reading in [ReferenceReading.preferredSizes, .cropped] {
      #expect(throws: ModelError.self) {
        try reading.size(of: Self.size(15, 100), area: nil, multiple: 16)
      }
    }
  }
}
