import FlowCore
import FlowEngine
import FlowModels
import FlowTestSupport
import Synchronization
import Testing

@testable import StreamFlow

/// An image whose tiles are upscaled by several, without an engine.
@Suite struct SharedUpscaleTests {
  private static let image: PixelImage = {
    let (width, height) = (96, 64)
    return PixelImage(
      width: width, height: height,
      pixels: (0..<3 * width * height).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ $0 / 251) })
  }()

  /// Repeats each pixel.
  private static func enlarged(_ image: PixelImage, by factor: Int = 2) -> PixelImage {
    let (width, height) = (factor * image.width, factor * image.height)
    var pixels: [UInt8] = []
    for row in 0..<height {
      for column in 0..<width {
        let start = 3 * (row / factor * image.width + column / factor)
        pixels += image.pixels[start..<start + 3]
      }
    }
    return PixelImage(width: width, height: height, pixels: pixels)
  }

  private final class Helper: TileHelper {
    enum Manner { case fast, busy, silent, wrong }
    let manner: Manner
    let count = Mutex(0)
    let wasCancelled = Mutex(false)

    init(_ manner: Manner) { self.manner = manner }

    func upscaled(_ tile: PixelImage, by factor: Int) async -> PixelImage? {
      count.withLock { $0 += 1 }
      switch manner {
      case .fast: return SharedUpscaleTests.enlarged(tile, by: factor)
      case .busy: return nil
      case .wrong: return tile
      case .silent:
        do { try await Task.sleep(for: .seconds(600)) } catch {
          wasCancelled.withLock { $0 = true }
        }
        return nil
      }
    }
  }

  private func sharing(workers: Int = 8) -> SharedUpscale {
    let grid = TileGrid(
      size: PixelSize(width: Self.image.width, height: Self.image.height), margin: 3, unit: 1,
      workers: workers)
    #expect(grid.tiles.count >= 6)
    return SharedUpscale(Self.image, by: 2, in: grid)
  }

  @Test("Tiles of this process and of helpers make the whole image")
  func helped() async throws {
    let shared = sharing()
    let helpers = [Helper(.fast), Helper(.fast)]
    let made = try await shared.image(with: helpers) { tile in
      try await Task.sleep(for: .milliseconds(20))
      return Self.enlarged(tile)
    }
    #expect(made == Self.enlarged(Self.image))
    #expect(await shared.helpedCount >= 2)
  }

  @Test("A helper that is busy or gives something else is asked once, and its tile is made here")
  func unhelpful() async throws {
    let shared = sharing()
    let helpers = [Helper(.busy), Helper(.wrong)]
    let made = try await shared.image(with: helpers) { tile in
      try await Task.sleep(for: .milliseconds(2))
      return Self.enlarged(tile)
    }
    #expect(made == Self.enlarged(Self.image))
    #expect(await shared.helpedCount == 0)
    #expect(helpers.allSatisfy { $0.count.withLock { $0 } == 1 })
  }

  @Test("A helper that never answers does not hold the image up", .timeLimit(.minutes(1)))
  func silent() async throws {
    let shared = sharing()
    let helpers = [Helper(.silent), Helper(.fast)]
    let made = try await shared.image(with: helpers) { tile in
      try await Task.sleep(for: .milliseconds(5))
      return Self.enlarged(tile)
    }
    #expect(made == Self.enlarged(Self.image))
    #expect(helpers[0].wasCancelled.withLock { $0 })
  }

  @Test(
    "A failure of this process is the image's, and a cancelled image ends", .timeLimit(.minutes(1)))
  func failures() async throws {
    let helper = Helper(.silent)
    await #expect(throws: ModelError.self) {
      try await sharing().image(with: [helper]) { _ in
        throw ModelError(code: .notFinite, message: "NaN")
      }
    }
    #expect(helper.wasCancelled.withLock { $0 })
    let shared = sharing()
    let making = Task {
      try await shared.image(with: [Helper(.silent)]) { tile in
        try await Task.sleep(for: .seconds(600))
        return tile
      }
    }
    making.cancel()
    await #expect(throws: CancellationError.self) { try await making.value }
  }
}

/// Upscalers that share an image.
@Suite(.tags(.engine)) struct SharedUpscalerTests {
  private final class Other: TileHelper {
    let upscaler: Upscaler
    let count = Mutex(0)

    init(_ upscaler: Upscaler) { self.upscaler = upscaler }

    func upscaled(_ tile: PixelImage, by factor: Int) async -> PixelImage? {
      count.withLock { $0 += 1 }
      return try? await upscaler.upscale(tile, by: factor)
    }
  }

  private struct Others: TileHelpers {
    let upscaler: Upscaler
    let helpers: [Other]
    let leastTime: Duration

    init(_ upscaler: Upscaler, count: Int, leastTime: Duration = .zero) {
      (self.upscaler, self.leastTime) = (upscaler, leastTime)
      helpers = (0..<count).map { _ in Other(upscaler) }
    }

    /// The number of tiles that helpers were given.
    var tileCount: Int { helpers.reduce(0) { $0 + $1.count.withLock { $0 } } }

    func free(for fingerprint: String) async -> [any TileHelper] {
      guard (try? await upscaler.fingerprint()) == fingerprint else { return [] }
      return helpers
    }
  }

  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func upscaler(_ bytes: [UInt8], _ name: String = "tiny") async throws -> Upscaler {
    try await .load(folder.write(bytes, as: "\(name).safetensors"), engines: .ofTests)
  }

  @Test("A shared image has the pixels of one that is not, whichever network", arguments: [1, 2])
  func pixels(unshuffling: Int) async throws {
    let bytes =
      unshuffling == 1
      ? TinyUpscaler.compact(convolutions: 5) : TinyUpscaler.dense(unshuffling: 2)
    let factor = unshuffling == 1 ? 4 : 2
    let (one, other) = (try await upscaler(bytes), try await upscaler(bytes, "copy"))
    var noise = GaussianNoise(seed: 3)
    let (width, height) = (202, 154)
    let image = PixelImage(
      width: width, height: height,
      pixels: noise.latents(shape: [3 * width * height]).scalars.map {
        UInt8(min(max(128 + 60 * $0, 0), 255))
      })
    let plain = try await one.upscale(image, by: factor)
    let others = Others(other, count: 3)
    let shared = try await one.upscale(image, by: factor, with: others)
    #expect((1...3).contains(others.tileCount))
    #expect(shared.width == plain.width && shared.height == plain.height)
    // The engine may add in another order for another shape: a rounding, here and there.
    expectClose(shared.pixels.map(Float.init), plain.pixels.map(Float.init), tolerance: 1)
    let unequal = zip(shared.pixels, plain.pixels).count { $0 != $1 }
    #expect(unequal <= plain.pixels.count / 1000, "\(unequal) of \(plain.pixels.count)")
  }

  @Test("An image that takes little time, or that nobody helps with, is not shared")
  func small() async throws {
    let (one, other) = (
      try await upscaler(TinyUpscaler.compact()),
      try await upscaler(TinyUpscaler.compact(seed: 1), "other")
    )
    let image = PixelImage(
      width: 120, height: 90, pixels: [UInt8](repeating: 90, count: 3 * 120 * 90))
    let plain = try await one.upscale(image, by: 4)
    for others in [Others(one, count: 3, leastTime: .seconds(60)), Others(other, count: 3)] {
      #expect(try await one.upscale(image, by: 4, with: others) == plain)
      #expect(others.tileCount == 0)
    }
  }

  @Test("Fingerprints tell networks apart, not files")
  func fingerprints() async throws {
    let bytes = TinyUpscaler.compact()
    let first = try await upscaler(bytes).fingerprint()
    #expect(first != nil)
    #expect(try await upscaler(bytes, "copy").fingerprint() == first)
    #expect(
      try await upscaler(TinyUpscaler.compact(seed: 1), "other").fingerprint() != first)
    #expect(try await Upscaler.lanczos(on: .ofTests).fingerprint() == nil)
  }
}
