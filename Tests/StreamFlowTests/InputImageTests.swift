import FlowCore
import FlowEngine
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels
@testable import StreamFlow

/// Image to image through `Generator`, against diffusers' own pipelines.
@Suite(.tags(.engine)) struct InputImageTests {
  private struct Case: Decodable {
    let model: String
    let schedule: String
    let prompt: String
    let seed: UInt64
    let steps: Int
    let strength: Double
    let guidance: Float
    let kind: String?
    let delta: Float?
  }

  private static func request(
    _ item: Case, of checkpoint: Checkpoint, source: PixelImage
  ) throws -> GenerationRequest {
    var request = GenerationRequest(prompt: item.prompt)
    request.seed = item.seed
    request.stepCount = item.steps
    request.schedule = try #require(ScheduleChoice(item.schedule))
    request.spacing = .uniform
    request.source = InputImage(image: source, strength: item.strength)
    let (scale, delta) = (item.guidance, item.delta ?? 1)
    request.guidance =
      switch item.kind {
      case "self-negative": .selfNegative(scale: scale, delta: delta)
      case "onetime-negative": .onetimeNegative(scale: scale, delta: delta)
      default: checkpoint.guidance(scale: scale)
      }
    return request
  }

  @Test("Every family, schedule and guidance gives diffusers' image of an image")
  func diffusers() async throws {
    let golden = try Golden("models/sources.safetensors", in: .module)
    let cases = try JSONDecoder().decode(
      [Case].self, from: Data(try #require(golden.metadata["cases"]).utf8))
    #expect(cases.count == 13)
    for (index, item) in cases.enumerated() {
      let checkpoint =
        try item.model == "starter"
        ? Checkpoint.starter64() : Checkpoint(folder: PipelineTests.folder(item.model))
      let shape = try golden.shape("\(index).source")
      let source = PixelImage(
        width: shape[1], height: shape[0],
        pixels: try golden.floats("\(index).source").map { UInt8($0) })
      var options = GeneratorOptions()
      options.rowCapacity = 2
      let generator = try Generator(checkpoint: checkpoint, options: options, engines: .ofTests)
      let request = try Self.request(item, of: checkpoint, source: source)
      let images = try await generator.images(for: [request]).reduce(into: []) { $0.append($1) }
      let pixels = try #require(images.first).image.pixels.map(Float.init)
      let expected = try golden.floats("\(index).pixels")
      #expect(Set(expected).count > 50, "\(item)")
      // Rounding to 8 bits can fall the other way twice: in the network and in the decoder.
      let worst = zip(pixels, expected).map { abs($0 - $1) }.max() ?? 0
      #expect(pixels.count == expected.count && worst <= 2, "\(worst) in \(item)")
    }
  }

  private static func gradient(_ width: Int, _ height: Int) -> PixelImage {
    PixelImage(
      width: width, height: height,
      pixels: (0..<height).flatMap { y in
        (0..<width).flatMap { x in
          [UInt8(255 * x / width), UInt8(255 * y / height), UInt8(128)]
        }
      })
  }

  @Test("Images of images and of text share a batch, and each is what it is alone")
  func mix() async throws {
    var requests: [GenerationRequest] = []
    for index in 0..<8 {
      var request = GenerationRequest(prompt: index % 2 == 0 ? "rocket" : "a fox on red")
      request.seed = UInt64(index)
      request.spacing = .uniform
      if index % 4 > 0 {
        request.source = InputImage(
          image: Self.gradient(64 + 9 * index, 40 + index), strength: 0.25 * Double(index % 4),
          fit: ImageFit(ImageFit.Kind.allCases[index % 3]))
      }
      request.stepCount = 1 + index % 4
      request.guidance =
        index % 4 > 0 && index > 4 ? .selfNegative(scale: 2) : .onetimeNegative(scale: 1.5)
      requests.append(request)
    }
    var options = GeneratorOptions()
    options.rowCapacity = 6
    let together = try await Generator(
      checkpoint: .starter64(), options: options, engines: .ofTests
    )
    .images(for: requests).reduce(into: [Int: PixelImage]()) { $0[$1.index] = $1.image }
    options.rowCapacity = 2
    let alone = try Generator(checkpoint: .starter64(), options: options, engines: .ofTests)
    for (index, request) in requests.enumerated() {
      let single = try await alone.images(for: [request]).reduce(into: []) { $0.append($1) }
      expectClose(
        try #require(together[index]).pixels.map(Float.init),
        try #require(single.first).image.pixels.map(Float.init), tolerance: 1)
    }
  }

  @Test("Self-negative guidance without an image, and a strength of none, are refused")
  func refused() async throws {
    let generator = try Generator(checkpoint: .starter64(), engines: .ofTests)
    var request = GenerationRequest(prompt: "fox")
    request.guidance = .selfNegative(scale: 2)
    let error = await #expect(throws: ModelError.self) {
      _ = try await generator.images(for: [request])
    }
    #expect(error?.message.hasPrefix("selfNegative guidance needs a reference") == true)
    request.source = InputImage(image: Self.gradient(8, 8), strength: 0)
    let weak = await #expect(throws: ModelError.self) {
      _ = try await generator.images(for: [request])
    }
    #expect(weak?.message.hasPrefix("strength is above 0") == true)
  }

  // MARK: - Blends

  private static func picture(_ request: GenerationRequest) async throws -> [Float] {
    let generator = try Generator(checkpoint: .starter64(), engines: .ofTests)
    let images = try await generator.images(for: [request]).reduce(into: []) { $0.append($1) }
    return try #require(images.first).image.pixels.map(Float.init)
  }

  @Test("A blend of nothing is the prompt, of all is the other, of half is neither")
  func prompts() async throws {
    var request = GenerationRequest(prompt: "a fox on red")
    let fox = try await Self.picture(request)
    request.prompt = "sushi"
    let sushi = try await Self.picture(request)
    request.prompt = "a fox on red"
    for kind in PromptBlend.Kind.allCases {
      for (weight, expected) in [(Float(0), fox), (1, sushi)] {
        request.blend = PromptBlend([.init(prompt: "sushi", weight: weight)], kind: kind)
        expectClose(try await Self.picture(request), expected, tolerance: 1)
      }
      request.blend = PromptBlend([.init(prompt: "sushi", weight: 0.5)], kind: kind)
      let half = try await Self.picture(request)
      #expect(half != fox && half != sushi)
    }
  }

  @Test("A spherical mix of two texts keeps their length, a linear one is their mean")
  func states() {
    let one = TextStates(hidden: [3, 0, 0, 4], pooled: [1, 0], chunkCount: 1, width: 2)
    let other = TextStates(hidden: [0, 3, 4, 0], pooled: [0, 1], chunkCount: 1, width: 2)
    let mean = one.mixed(with: other, fraction: 0.5, kind: .linear)
    expectClose(mean.hidden, [1.5, 1.5, 2, 2], tolerance: 0)
    let arc = one.mixed(with: other, fraction: 0.5, kind: .spherical)
    expectClose(arc.hidden, [3, 3, 4, 4].map { $0 * Float(0.5).squareRoot() }, tolerance: 1e-6)
    expectClose(arc.pooled, [0.707_106_8, 0.707_106_8], tolerance: 1e-6)
    let long = TextStates(
      hidden: [3, 0, 0, 4, 1, 1, 1, 1], pooled: [1, 0], chunkCount: 2, width: 2)
    let mixed = one.mixed(with: long, fraction: 1, kind: .linear)
    #expect(mixed.hidden == long.hidden && mixed.chunkCount == 2)
  }

  @Test("Weights beyond 1 are refused by their numbers")
  func weights() async throws {
    var request = GenerationRequest(prompt: "fox")
    request.blend = PromptBlend([
      .init(prompt: "sushi", weight: 0.7), .init(prompt: "rocket", weight: 0.5),
    ])
    let error = await #expect(throws: ModelError.self) { try await Self.picture(request) }
    #expect(
      error?.message
        == "the weights of blended prompts are 0 to 1 and at most 1 together, got 0.7, 0.5")
  }

  @Test("Noise blended between two seeds ends at the other's image")
  func seeds() async throws {
    var request = GenerationRequest(prompt: "rocket")
    request.seed = 4
    let other = try await Self.picture(request)
    request.seed = 3
    request.seedBlend = SeedBlend(seed: 4, fraction: 1)
    expectClose(try await Self.picture(request), other, tolerance: 0)
    request.seedBlend = SeedBlend(seed: 4, fraction: 0.5)
    #expect(try await Self.picture(request) != other)
  }
}
