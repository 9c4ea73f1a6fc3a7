import FlowCore
import FlowEngine
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels
@testable import StreamFlow

/// Images made larger, in tiles and without a network.
@Suite(.tags(.engine)) struct UpscalerTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func image(width: Int, height: Int, seed: UInt64 = 0) -> PixelImage {
    var noise = GaussianNoise(seed: seed)
    let drawn = noise.latents(shape: [3 * width * height]).scalars
    return PixelImage(
      width: width, height: height,
      pixels: drawn.enumerated().map { index, number in
        UInt8(min(max(Float(index / 3 % width * 200 / width) + 40 * number, 0), 255))
      })
  }

  private func file(_ bytes: [UInt8], _ name: String = "tiny") throws -> UpscalerFile {
    try UpscalerFile(path: try folder.write(bytes, as: "\(name).safetensors"))
  }

  private func tiled(
    _ file: UpscalerFile, _ image: PixelImage, by factor: Int, side: Int? = nil, margin: Int? = nil
  ) async throws -> PixelImage {
    let upscaler = try await TiledUpscaler.make(
      file, size: PixelSize(width: image.width, height: image.height), factor: factor, side: side,
      margin: margin, provider: EngineProvider(.ofTests))
    return try #require(try upscaler.upscale(image))
  }

  private enum Network: CaseIterable {
    case compact, halved, dense, unshuffled

    var bytes: [UInt8] {
      switch self {
      case .compact: TinyUpscaler.compact(convolutions: 5)
      case .halved: TinyUpscaler.compact()
      case .dense: TinyUpscaler.dense()
      case .unshuffled: TinyUpscaler.dense(unshuffling: 2)
      }
    }
    var factor: Int { self == .compact || self == .dense ? 4 : 2 }
  }

  @Test(
    "Tiles that see as far as the network make the whole image, whatever its size",
    arguments: Network.allCases)
  private func tiles(network: Network) async throws {
    let file = try file(network.bytes)
    let reach = file.configuration.reach
    for (width, height) in [(2 * reach + 45, 2 * reach + 21), (40, 3 * reach + 40), (17, 9)] {
      let image = image(width: width, height: height)
      let whole = try await tiled(file, image, by: network.factor)
      #expect(whole.width == width * network.factor && whole.height == height * network.factor)
      #expect(Set(whole.pixels).count > 50)
      let parts = try await tiled(
        file, image, by: network.factor, side: 2 * reach + 16, margin: reach)
      // The engine may add in another order for another shape: a rounding, here and there.
      expectClose(parts.pixels.map(Float.init), whole.pixels.map(Float.init), tolerance: 1)
      let unequal = zip(parts.pixels, whole.pixels).count { $0 != $1 }
      #expect(unequal <= whole.pixels.count / 1000, "\(unequal) of \(whole.pixels.count)")
    }
  }

  @Test("Tiles that see too little have seams, so that the test above can fail")
  func seams() async throws {
    let file = try file(TinyUpscaler.compact(convolutions: 5))
    let image = image(width: 60, height: 20)
    let whole = try await tiled(file, image, by: 4)
    let parts = try await tiled(file, image, by: 4, side: 26, margin: 1)
    #expect(zip(parts.pixels, whole.pixels).count { $0 != $1 } > 100)
  }

  @Test("Windows of one length cover the axis with as few tiles as there may be")
  func tilings() {
    for (length, most, margin, unit) in [
      (100, 40, 5, 1), (41, 40, 5, 1), (40, 40, 5, 1), (7, 40, 5, 1), (1000, 128, 34, 1),
      (1002, 128, 33, 2), (64, 38, 4, 2),
    ] {
      let tiling = Tiling(length: length, atMost: most, margin: margin, unit: unit)
      #expect(tiling.tiles.flatMap(\.own) == Array(0..<length))
      #expect(tiling.windowLength <= max(most, 1))
      for tile in tiling.tiles {
        #expect(tile.window.count == tiling.windowLength)
        #expect(tile.window.lowerBound.isMultiple(of: unit))
        #expect(tile.window.lowerBound >= 0 && tile.window.upperBound <= length)
        #expect(tile.window.lowerBound <= max(tile.own.lowerBound - margin, 0))
        #expect(tile.window.upperBound >= min(tile.own.upperBound + margin, length))
      }
      let inner = most - 2 * margin
      #expect(tiling.tiles.count <= max((length - 2 * margin + inner - 1) / inner, 1) + 1)
    }
    #expect(Tiling(length: 512, atMost: 512, margin: 34, unit: 1).tiles.count == 1)
    #expect(Tiling(length: 956, atMost: 512, margin: 34, unit: 1).tiles.count == 2)
  }

  @Test("Compact networks see all of their reach in a tile, dense ones 32 pixels")
  func margins() throws {
    #expect(
      TiledUpscaler.margin(of: try file(TinyUpscaler.compact(convolutions: 5)).configuration) == 5)
    let dense = UpscalerConfiguration(
      .dense(.init(features: 64, growth: 32, blockCount: 23, doublings: 2, unshuffling: 1)))
    #expect(dense.reach == 349 && TiledUpscaler.margin(of: dense) == 32)
  }

  @Test("Without a network it is Pillow's Lanczos filter")
  func lanczos() async throws {
    let golden = try Golden("enlargements.safetensors", in: .module)
    let upscaler = Upscaler.lanczos(on: .ofTests)
    for index in 0..<4 {
      let (from, to) = (try golden.shape("\(index).source"), try golden.shape("\(index).larger"))
      let image = PixelImage(
        width: from[1], height: from[0],
        pixels: try golden.floats("\(index).source").map { UInt8($0) })
      let expected = try golden.floats("\(index).larger")
      let larger = LanczosEnlargement(size: PixelSize(width: to[1], height: to[0]))(image)
      expectClose(larger.pixels.map(Float.init), expected, tolerance: 1)
      #expect(zip(larger.pixels, expected).count { Float($0) != $1 } <= expected.count / 100)
      for factor in Upscaler.factors where to[0] == from[0] * factor && to[1] == from[1] * factor {
        #expect(try await upscaler.upscale(image, by: factor) == larger)
      }
    }
  }

  @Test("A network makes images as large as it was made for, or half of that")
  func factors() async throws {
    let path = try folder.write(TinyUpscaler.compact(factor: 2), as: "x2.safetensors")
    let upscaler = try await Upscaler.load(path, engines: .ofTests)
    #expect(upscaler.name == "x2" && upscaler.configuration?.factor == 2)
    let small = image(width: 5, height: 4)
    #expect(try await upscaler.upscale(small, by: 2).width == 10)
    var error = await #expect(throws: ModelError.self) { try await upscaler.upscale(small, by: 4) }
    #expect(
      error?.message == "'x2' makes images 2 times as large, and 4 was requested; ask for 2, or "
        + "choose another upscaler")
    error = #expect(throws: ModelError.self) { try Upscaling(.lanczos(on: .ofTests), by: 3) }
    #expect(error?.message == "images become 2 or 4 times as large, got 3")
    let strip = PixelImage(width: 20_000, height: 1, pixels: [UInt8](repeating: 0, count: 60_000))
    error = await #expect(throws: ModelError.self) { try await upscaler.upscale(strip, by: 4) }
    #expect(error?.code == .requestInvalid)
  }

  @Test("A network that makes NaN makes no image")
  func notFinite() async throws {
    var bytes = TinyUpscaler.compact()
    // The last four bytes are the last bias: the file ends with its tensors.
    bytes.replaceSubrange(bytes.count - 4..<bytes.count, with: [0, 0, 0xc0, 0x7f])
    let path = try folder.write(bytes, as: "nan.safetensors")
    let upscaler = try await Upscaler.load(path, engines: .ofTests)
    let error = await #expect(throws: ModelError.self) {
      try await upscaler.upscale(image(width: 5, height: 4), by: 4)
    }
    #expect(error?.code == .notFinite && error?.message.contains("'nan'") == true)
  }

  @Test("Two networks of the same layers are mixed")
  func blend() async throws {
    let image = image(width: 12, height: 8)
    func larger(_ seed: UInt64, blend: UpscalerBlend? = nil) async throws -> [Float] {
      let path = try folder.write(TinyUpscaler.compact(seed: seed), as: "seed\(seed).safetensors")
      let upscaler = try await Upscaler.load(path, blend: blend, engines: .ofTests)
      return try await upscaler.upscale(image, by: 4).pixels.map(Float.init)
    }
    let (one, two) = (try await larger(1), try await larger(2))
    let other = "\(folder.path)/seed2.safetensors"
    for (fraction, expected) in [(Float(0), one), (1, two)] {
      let mixed = try await larger(1, blend: UpscalerBlend(path: other, fraction: fraction))
      expectClose(mixed, expected, tolerance: 1)
    }
    let half = try await larger(1, blend: UpscalerBlend(path: other, fraction: 0.5))
    #expect(half != one && half != two)
  }

  @Test("Settings are added at the end of those that an image has")
  func settings() throws {
    let upscaling = try Upscaling(.lanczos(on: .ofTests), by: 2)
    let added = "Postprocess upscale by: 2, Postprocess upscaler: Lanczos"
    func text(_ parameters: String?) -> String {
      GenerationSettings.adding(upscaling.settings, to: parameters)
    }
    #expect(text("a fox\nSteps: 4, Seed: 7") == "a fox\nSteps: 4, Seed: 7, \(added)")
    let version = "Version: StreamFlow \(streamFlowVersion)"
    #expect(text(nil) == "\(added), \(version)")
    #expect(text("a fox, sitting\n") == "a fox, sitting\n\(added), \(version)")
    for parameters in [nil, "a fox", "a fox\nSteps: 4, Seed: 7"] {
      #expect(GenerationSettings(parsing: text(parameters)).upscaleFactor == 2)
    }
    let comma = GenerationSettings.adding([.init(name: "Name", value: "a, b")], to: "Steps: 1")
    #expect(comma == "Steps: 1, Name: \"a, b\"")
  }
}
