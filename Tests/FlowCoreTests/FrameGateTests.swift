import FlowTestSupport
import Testing

@testable import FlowCore

/// The similar-image filter, and its differences to StreamDiffusion's.
@Suite struct FrameGateTests {
  /// Gray, with a bright square at a place.
  private static func image(_ place: Int, width: Int = 80, height: Int = 60) -> PixelImage {
    var pixels = [UInt8](repeating: 90, count: 3 * width * height)
    for y in 20..<40 {
      for x in place..<place + 20 {
        for channel in 0..<3 { pixels[3 * (y * width + x) + channel] = 250 }
      }
    }
    return PixelImage(width: width, height: height, pixels: pixels)
  }

  @Test("The first image is let through, the same again is skipped up to the maximum, no more")
  func maximum() {
    for seed in [nil, 3] as [UInt64?] {
      var gate = FrameGate(settings: .init(threshold: 0.9, maximumSkips: 3, seed: seed))
      let admitted = (0..<9).map { _ in gate.admits(Self.image(10)) }
      #expect(admitted == [true, false, false, false, true, false, false, false, true])
    }
  }

  @Test("Skips are counted from the last image that was let through")
  func reset() {
    var gate = FrameGate(settings: .init(threshold: 0.999, maximumSkips: 2, seed: nil))
    let places = [0, 0, 40, 40, 40, 40]
    let admitted = places.map { gate.admits(Self.image($0)) }
    // A change lets one through and restarts the count: two more are skipped.
    #expect(admitted == [true, false, true, false, false, true])
  }

  @Test("What is compared is the last image that was made, so that slow changes add up")
  func drift() {
    let steps = (0..<40).map { Self.image($0) }
    let near = LumaThumbnail(of: steps[0]).similarity(to: LumaThumbnail(of: steps[1]))
    let far = LumaThumbnail(of: steps[0]).similarity(to: LumaThumbnail(of: steps[10]))
    #expect(near > far && near < 1)
    var gate = FrameGate(settings: .init(threshold: far, maximumSkips: 100, seed: nil))
    let admitted = steps.map { gate.admits($0) }
    #expect(admitted.count { $0 } > 2 && admitted.count { $0 } < 10)
  }

  @Test("The chance to be skipped rises from 0 at the threshold to 1 at sameness, by the seed")
  func chance() {
    let (one, other) = (
      Self.image(10, width: 40, height: 40), Self.image(14, width: 40, height: 40)
    )
    let similarity = LumaThumbnail(of: one).similarity(to: LumaThumbnail(of: other))
    func skips(_ threshold: Double, seed: UInt64) -> [Bool] {
      var gate = FrameGate(settings: .init(threshold: threshold, maximumSkips: 1, seed: seed))
      return (0..<400).map { _ in
        _ = gate.admits(one)
        while gate.skipCount > 0 { _ = gate.admits(one) }
        return !gate.admits(other)
      }
    }
    // The threshold at which the formula says one half.
    let half = 1 - 2 * (1 - similarity)
    let count = skips(half, seed: 7).count { $0 }
    #expect((150...250).contains(count))  // five standard deviations of 400 tosses
    #expect(skips(half, seed: 7) == skips(half, seed: 7))
    #expect(skips(half, seed: 7) != skips(half, seed: 8))
    #expect(!skips(similarity + 1e-6, seed: 7).contains(true))
  }

  @Test("At threshold 1 nothing is skipped, not even the same image")
  func off() {
    var gate = FrameGate(settings: .init(threshold: 1, maximumSkips: 10, seed: nil))
    let admitted = (0..<5).map { _ in gate.admits(Self.image(3)) }
    #expect(admitted == [true, true, true, true, true])
  }

  @Test("Another size is another image; black against black is the same, against white is not")
  func edges() {
    var gate = FrameGate(settings: .init(threshold: 0.5, maximumSkips: 10, seed: nil))
    func plain(_ width: Int, _ height: Int, _ level: UInt8) -> PixelImage {
      PixelImage(
        width: width, height: height,
        pixels: [UInt8](repeating: level, count: 3 * width * height))
    }
    let pictures = [
      plain(1, 1, 0), plain(1, 1, 0), plain(1, 1, 255), plain(2, 1, 255), plain(1000, 3, 7),
      plain(1000, 3, 7),
    ]
    let admitted = pictures.map { gate.admits($0) }
    #expect(admitted == [true, false, true, true, true, false])
  }
}
