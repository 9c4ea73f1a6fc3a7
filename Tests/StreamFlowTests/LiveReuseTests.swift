import FlowCore
import FlowTestSupport
import Testing

@testable import FlowModels
@testable import StreamFlow

/// Live streams that do only the work that changed.
@Suite(.tags(.engine)) struct LiveReuseTests {
  private static let side = 128

  /// Stripes with camera noise, and a square of another color.
  static func input(
    square x: Int? = nil, y: Int = 48, side square: Int = 16, noise: Double = 0, seed: UInt64 = 0
  ) -> PixelImage {
    var generator = GaussianNoise(seed: seed)
    let drawn = generator.latents(shape: [3, side, side]).scalars
    let pixels = (0..<3 * side * side).map { index in
      let (column, row) = (index / 3 % side, index / 3 / side)
      let isInside = x.map { $0..<$0 + square ~= column && y..<y + square ~= row } ?? false
      let level = isInside ? [230.0, 40, 40][index % 3] : Double(60 + row / 2 + 40 * (index % 3))
      return UInt8(min(max((level + noise * Double(drawn[index])).rounded(), 0), 255))
    }
    return PixelImage(width: side, height: side, pixels: pixels)
  }

  private static func stream(
    _ change: (inout LiveSettings) -> Void
  ) throws -> LiveStream {
    try LiveStreamTests.stream(
      LiveStreamTests.settings {
        ($0.width, $0.height, $0.request.stepCount) = (side, side, 2)
        change(&$0)
      })
  }

  /// Runs inputs one after another, waiting for the engines of regions.
  private static func run(_ stream: LiveStream, _ inputs: [PixelImage]) async throws -> [LiveFrame]
  {
    try await LiveStreamTests.run(stream, inputs: inputs) { _ in
      await stream.drain()
      await stream.settleRegions()
    }
  }

  private static func difference(_ one: PixelImage?, _ other: PixelImage?) throws -> Double {
    let (one, other) = (try #require(one), try #require(other))
    let sum = zip(one.pixels, other.pixels).reduce(0) { $0 + abs(Int($1.0) - Int($1.1)) }
    return Double(sum) / Double(one.pixels.count)
  }

  @Test("Without any setting, each image is as alone")
  func off() async throws {
    let inputs = (0..<3).map { Self.input(square: 8 * $0, noise: 4, seed: UInt64($0)) }
    let frames = try await Self.run(Self.stream { _ in }, inputs)
    try await LiveStreamTests.expectAlone(frames, inputs: inputs)
  }

  @Test("Camera noise over a still input gives the same image when cells are held")
  func still() async throws {
    let inputs = (0..<5).map { Self.input(noise: 4, seed: UInt64($0)) }
    let plain = try await Self.run(Self.stream { _ in }, inputs)
    #expect(try Self.difference(plain[0].image, plain[1].image) > 0)
    let stream = try Self.stream { $0.reuse.holdsStill = true }
    let held = try await Self.run(stream, inputs)
    #expect(Set(held.map(\.image)).count == 1 && held[0].image == plain[0].image)
    #expect(await stream.statistics.madeCount == 1)
    #expect(await stream.statistics.skippedCount == 4)
  }

  @Test("The network runs on the region of a change; all else of the image stays byte for byte")
  func region() async throws {
    let inputs = (0..<6).map { Self.input(square: 2 * $0, y: 0) }
    let stream = try Self.stream { $0.reuse.regionMargin = 8 }
    let frames = try await Self.run(stream, inputs)
    let statistics = await stream.statistics
    // The first image is whole, and the second one if the region's engines are not ready for it.
    #expect(statistics.regionCount >= 4 && statistics.madeCount == 6)
    let (before, after) = (try #require(frames[4].image), try #require(frames[5].image))
    #expect(before != after)
    // The change, its neighbors and half the margin end at 36 pixels, the decoder reaches 64 more.
    for y in 0..<Self.side {
      for x in 0..<Self.side where x >= 100 || y >= 100 {
        let place = 3 * (y * Self.side + x)
        #expect(before.pixels[place..<place + 3] == after.pixels[place..<place + 3])
      }
    }
    let whole = try await Self.run(Self.stream { _ in }, inputs)
    #expect(try Self.difference(frames[5].image, whole[5].image) < 20)
    #expect(frames.map(\.index) == Array(0..<6))
  }

  @Test("A region of an image makes the same of a mask, and leaves the input's bytes outside")
  func mask() async throws {
    let mask = ImageMask(
      width: Self.side, height: Self.side,
      coverage: (0..<Self.side * Self.side).map {
        40..<72 ~= $0 % Self.side && 40..<72 ~= $0 / Self.side ? 255 : 0
      })
    // A change in the mask, one far from it, none.
    let inputs = [
      Self.input(), Self.input(square: 40), Self.input(square: 44),
      Self.input(square: 44, noise: 1),
    ]
    let far = Self.input(square: 44).replacing(
      x: 110, y: 110,
      with: PixelImage(width: 12, height: 12, pixels: [UInt8](repeating: 9, count: 432)))
    let stream = try Self.stream {
      ($0.mask, $0.maskBlur, $0.strength) = (mask, 0, 0.8)
      $0.reuse.regionMargin = 8
    }
    let frames = try await Self.run(stream, inputs + [far])
    let statistics = await stream.statistics
    #expect(statistics.madeCount == 5 && statistics.failedCount == 0)
    #expect(statistics.regionCount >= 1 && statistics.reusedCount == 2)
    for (frame, input) in zip(frames, inputs + [far]) {
      let image = try #require(frame.image)
      for place in mask.coverage.indices where mask.coverage[place] == 0 {
        #expect(image.pixels[3 * place..<3 * place + 3] == input.pixels[3 * place..<3 * place + 3])
      }
    }
    for place in mask.coverage.indices where mask.coverage[place] == 255 {
      #expect(frames[3].image?.pixels[3 * place] == frames[2].image?.pixels[3 * place])
    }
  }

  @Test("Latents blended with those before make less flicker where nothing changed")
  func blend() async throws {
    let inputs = (0..<6).map { Self.input(noise: 4, seed: UInt64($0)) }
    var flicker: [Double] = []
    for weight in [0, 0.5, 0.8] {
      let frames = try await Self.run(Self.stream { $0.reuse.latentBlend = weight }, inputs)
      flicker.append(
        try zip(frames, frames.dropFirst()).reduce(0) {
          try $0 + Self.difference($1.0.image, $1.1.image)
        })
    }
    #expect(flicker[1] < 0.8 * flicker[0] && flicker[2] < 0.6 * flicker[0], "\(flicker)")
  }

  @Test("Strength follows motion, and frames say theirs")
  func motion() async throws {
    let inputs = [0, 0, 90, 10, 10, 10].map { Self.input(square: $0, side: 32) }
    let stream = try Self.stream { $0.reuse.motionResponse = 0.2 }
    let frames = try await Self.run(stream, inputs)
    let strengths = frames.map(\.settings.strength)
    #expect(strengths[0] == 0.5 && strengths[1] == 0.5 && strengths[2] < 0.4 && strengths[5] > 0.48)
    try await LiveStreamTests.expectAlone(frames, inputs: inputs)
  }

  @Test("A change of settings starts anew, and invalid ones change nothing")
  func changes() async throws {
    let stream = try Self.stream { $0.reuse.holdsStill = true }
    let inputs = [PixelImage](repeating: Self.input(), count: 4)
    let frames = try await LiveStreamTests.run(stream, inputs: inputs) { index in
      guard index == 2 else { return }
      await stream.drain()
      try await stream.update { $0.request.prompt = "a rocket" }
    }
    #expect(frames[0].image == frames[1].image && frames[2].image == frames[3].image)
    #expect(frames[1].image != frames[2].image)
    let refused: [(@Sendable (inout LiveSettings) -> Void, String)] = [
      ({ $0.reuse.changeThreshold = 2 }, "the change threshold is 0 to 1"),
      ({ $0.reuse.latentBlend = 1 }, "the weight of earlier latents is 0 to less than 1"),
      ({ $0.reuse.motionResponse = .nan }, "the motion response is 0 to less than 1"),
      ({ $0.reuse.regionMargin = -1 }, "the margin of a region is 0 to 4096 pixels"),
      (
        {
          $0.reuse.regionMargin = 8; $0.seedPolicy = .perFrame
        },
        "a region of an image is reused"
      ),
    ]
    for (change, message) in refused {
      let error = await #expect(throws: ModelError.self) { try await stream.update(change) }
      #expect(error?.message.hasPrefix(message) == true, "\(error?.message ?? "")")
    }
  }

  @Test("Windows hold the change with its margin, in few sizes, at multiples of the unit")
  func windows() {
    let size = PixelSize(width: 256, height: 192)
    for (x, y, side) in [(0, 0, 8), (100, 80, 24), (248, 184, 8), (64, 40, 100)] {
      let changed = PixelRegion(x: x, y: y, width: side, height: side)
      guard
        let region = WorkRegion(around: changed, margin: 16, in: size, unit: 8, factor: 4)
      else {
        Issue.record("no window around \(changed)")
        continue
      }
      let window = region.window
      #expect(window.x % 8 == 0 && window.y % 8 == 0 && window.width % 8 == 0)
      #expect(window.x >= 0 && window.x + window.width <= 256)
      #expect(window.y >= 0 && window.y + window.height <= 192)
      let seen = changed.grown(by: 16, within: size)
      #expect(seen.intersection(window) == seen)
      #expect(changed.latent(factor: 4).intersection(region.part) == changed.latent(factor: 4))
      #expect(region.part.intersection(region.latentWindow) == region.part)
    }
    let most = PixelRegion(x: 0, y: 0, width: 200, height: 20)
    #expect(WorkRegion(around: most, margin: 0, in: size, unit: 8, factor: 4) == nil)
  }
}
