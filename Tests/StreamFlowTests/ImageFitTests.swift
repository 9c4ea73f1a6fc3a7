import FlowCore
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels
@testable import StreamFlow

/// Images at another size, against Pillow.
@Suite struct ImageFitTests {
  private struct Case: Decodable {
    let kind: String
    let width: Int
    let height: Int
  }

  @Test("Contain, cover and stretch give Pillow's pad, fit and resize, larger and smaller")
  func pillow() throws {
    let golden = try Golden("fits.safetensors", in: .module)
    let cases = try JSONDecoder().decode(
      [Case].self, from: Data(try #require(golden.metadata["cases"]).utf8))
    #expect(cases.count == 18)
    for (index, item) in cases.enumerated() {
      let shape = try golden.shape("\(index).picture")
      let pixels = try golden.floats("\(index).picture").map { UInt8($0) }
      let picture = PixelImage(width: shape[1], height: shape[0], pixels: pixels)
      let kind = try #require(ImageFit.Kind(rawValue: item.kind))
      let fitted = picture.resampled(
        width: item.width, height: item.height,
        fit: ImageFit(kind, background: RGBColor(red: 200, green: 100, blue: 50)))
      #expect(fitted.width == item.width && fitted.height == item.height)
      // Pillow cuts off at 0 and 255 between the two axes too, where the filter overshoots at an
      // edge: some pixels at edges differ by a few levels, all others by a rounding.
      let expected = try golden.floats("\(index).fitted")
      let differences = zip(fitted.pixels, expected).map { abs(Float($0) - $1) }
      #expect(try #require(differences.max()) <= 6)
      #expect(differences.reduce(0, +) / Float(differences.count) < 0.3)
      #expect(differences.count { $0 > 1 } < differences.count / 50)
    }
  }

  @Test("An image of that size is left as it is")
  func same() {
    let picture = PixelImage(width: 8, height: 4, pixels: (0..<96).map { UInt8($0) })
    for kind in ImageFit.Kind.allCases {
      #expect(picture.resampled(width: 8, height: 4, fit: ImageFit(kind)) == picture)
    }
  }
}
