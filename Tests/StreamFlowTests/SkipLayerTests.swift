import FlowCore
import FlowEngine
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels
@testable import StreamFlow

/// Skip-layer guidance against diffusers' `StableDiffusion3Pipeline`.
@Suite(.tags(.engine)) struct SkipLayerTests {
  private struct Case: Decodable {
    let prompt: String
    let negative: String
    let seed: UInt64
    let steps: Int
    let guidance: Float
    let layers: [Int]
    let scale: Double
    let start: Double
    let stop: Double
  }

  private let checkpoint: Checkpoint
  private let requests: [GenerationRequest]
  private let pixels: [[Float]]

  init() throws {
    let folder = TransformerPipelineTests.folder
    let checkpoint = try Checkpoint(folder: "\(folder)/sd3")
    let golden = try Golden("\(folder)/sd3-skip-layers.safetensors")
    let cases = try JSONDecoder().decode(
      [Case].self, from: Data(try #require(golden.metadata["cases"]).utf8))
    requests = cases.map { item in
      var request = GenerationRequest(prompt: item.prompt)
      request.promptSyntax = .plain
      (request.seed, request.stepCount) = (item.seed, item.steps)
      request.guidance = checkpoint.guidance(scale: item.guidance)
      request.negativePrompt = item.negative
      if !item.layers.isEmpty {
        request.skipLayerGuidance = SkipLayerGuidance(
          layers: item.layers, scale: item.scale, start: item.start, stop: item.stop)
      }
      return request
    }
    pixels = try cases.indices.map { try golden.floats("\($0).pixels") }
    self.checkpoint = checkpoint
  }

  private func generator(rows: Int) throws -> Generator {
    var options = GeneratorOptions()
    (options.rowCapacity, options.width, options.height) = (rows, 32, 32)
    return try Generator(checkpoint: checkpoint, options: options, engines: .ofTests)
  }

  @Test("Images are diffusers', alone and mixed with others")
  func images() async throws {
    #expect(requests.count { $0.skipLayerGuidance != nil } == 3)
    let alone = try generator(rows: 3)
    for (index, request) in requests.enumerated() {
      let made = try await alone.images(for: [request]).reduce(into: []) { $0.append($1) }
      // Rounding to 8 bits can fall the other way twice: in the network and in the decoder.
      expectClose(
        try #require(made.first).image.pixels.map(Float.init), pixels[index], tolerance: 2)
      #expect(
        alone.parameters(of: request).contains("Skip layers: ")
          == (request.skipLayerGuidance != nil))
    }
    let together = try await generator(rows: 9).images(for: requests + requests)
      .reduce(into: [Int: PixelImage]()) { $0[$1.index] = $1.image }
    for index in 0..<2 * requests.count {
      expectClose(
        try #require(together[index]).pixels.map(Float.init), pixels[index % requests.count],
        tolerance: 2)
    }
  }

  @Test("The guidance changes the image, and nothing at scale 0")
  func effect() async throws {
    var request = requests[0]
    request.skipLayerGuidance?.scale = 0
    var plain = requests[0]
    plain.skipLayerGuidance = nil
    let made = try await generator(rows: 3).images(for: [request, plain, requests[0]])
      .reduce(into: [Int: [Float]]()) { $0[$1.index] = $1.image.pixels.map(Float.init) }
    expectClose(try #require(made[0]), try #require(made[1]), tolerance: 1)
    #expect(zip(try #require(made[1]), try #require(made[2])).contains { abs($0 - $1) > 4 })
  }

  @Test("What a model or a request cannot skip is refused")
  func refusals() throws {
    func message(_ checkpoint: Checkpoint, _ request: GenerationRequest) -> String {
      do { try checkpoint.check(request) } catch {
        #expect(error.code == .requestInvalid && error.settings == [.skipLayers])
        return error.message
      }
      return ""
    }
    let flux = try Checkpoint(folder: "\(TransformerPipelineTests.folder)/flux-schnell")
    var request = GenerationRequest(prompt: "")
    request.skipLayerGuidance = SkipLayerGuidance(layers: [1])
    #expect(message(flux, request).contains("has no skip-layer guidance"))
    #expect(message(checkpoint, request).isEmpty)
    for layers in [[], [2], [-1], [1, 1]] {
      request.skipLayerGuidance?.layers = layers
      #expect(message(checkpoint, request).contains("the layers 0 to 1, each once, got \(layers)"))
    }
    request.skipLayerGuidance = SkipLayerGuidance(layers: [0], start: 0.5, stop: 0.5)
    #expect(message(checkpoint, request).contains("got 0.5 to 0.5"))
    request.skipLayerGuidance = SkipLayerGuidance(layers: [0], scale: .infinity)
    #expect(message(checkpoint, request).contains("must be a number, got inf"))
    request.skipLayerGuidance = SkipLayerGuidance(layers: [0])
    request.guidance = .onetimeNegative(scale: 2)
    #expect(message(checkpoint, request).contains("needs full guidance or none"))
    var settings = LiveSettings(prompt: "")
    settings.request.skipLayerGuidance = SkipLayerGuidance(layers: [0])
    let live = #expect(throws: ModelError.self) { _ = try checkpoint.plan(for: settings) }
    #expect(live?.message.contains("a live stream has no skip-layer guidance") == true)
  }

  @Test(
    "It is read as it is written",
    arguments: [
      ("7,8,9", SkipLayerGuidance(layers: [7, 8, 9])),
      ("0:scale=1.5", SkipLayerGuidance(layers: [0], scale: 1.5)),
      ("1:start=0,stop=1", SkipLayerGuidance(layers: [1], start: 0, stop: 1)),
    ])
  func spelling(text: String, expected: SkipLayerGuidance) {
    #expect(SkipLayerGuidance(rawValue: text) == expected)
    #expect(SkipLayerGuidance(rawValue: expected.rawValue) == expected)
    for other in ["", "a", "7,", "7:", "7:rate=1", "7:scale"] {
      #expect(SkipLayerGuidance(rawValue: other) == nil, "\(other)")
    }
  }
}
