import FlowCore
import FlowEngine
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels
@testable import StreamFlow

/// Whole tiny checkpoints of every family through `Generator`, against diffusers' own pipelines.
@Suite(.tags(.engine)) struct PipelineTests {
  struct Case: Decodable, Sendable {
    let model: String
    let schedule: String
    let prompt: String
    let seed: UInt64
    let steps: Int
    let guidance: Float
    let negative: String?
    let width: Int?
    let height: Int?
    let clipSkip: Int?
    let encodesEmpty: Bool?
  }

  static func folder(_ model: String) -> String { Bundle.module.fixture("models/\(model)") }

  private static func request(
    of item: Case, _ checkpoint: Checkpoint
  ) throws -> GenerationRequest {
    var request = GenerationRequest(prompt: item.prompt)
    request.seed = item.seed
    request.stepCount = item.steps
    request.guidance = checkpoint.guidance(scale: item.guidance)
    request.negativePrompt = item.negative ?? ""
    request.schedule = try #require(ScheduleChoice(item.schedule))
    return request
  }

  private static func pixels(of item: Case, in folder: String) async throws -> [Float] {
    let checkpoint = try Checkpoint(folder: folder)
    let request = try request(of: item, checkpoint)
    var options = GeneratorOptions()
    (options.rowCapacity, options.width, options.height) = (2, item.width, item.height)
    options.skippedTextLayers = item.clipSkip ?? 0
    let generator = try Generator(checkpoint: checkpoint, options: options, engines: .ofTests)
    let stream = try await generator.images(for: [request])
    let images = try await stream.reduce(into: []) { $0.append($1) }
    return try #require(images.first).image.pixels.map(Float.init)
  }

  @Test("Every schedule, guidance, size and text encoder gives diffusers' image")
  func pictures() async throws {
    let golden = try Golden("models/pictures.safetensors", in: .module)
    let cases = try JSONDecoder().decode(
      [Case].self, from: Data(try #require(golden.metadata["cases"]).utf8))
    #expect(cases.count == 22)
    let temporary = try TemporaryFolder()
    for (index, item) in cases.enumerated() {
      var folder = Self.folder(item.model)
      if item.encodesEmpty == true {
        folder = "\(temporary.path)/\(index)"
        try FileManager.default.copyItem(atPath: Self.folder(item.model), toPath: folder)
        let file = "\(folder)/model_index.json"
        let text = try String(contentsOfFile: file, encoding: .utf8)
        try text.replacing(
          "\"force_zeros_for_empty_prompt\": true", with: "\"force_zeros_for_empty_prompt\": false"
        ).write(toFile: file, atomically: true, encoding: .utf8)
      }
      let pixels = try await Self.pixels(of: item, in: folder)
      let expected = try golden.floats("\(index).pixels")
      #expect(Set(expected).count > 50, "\(item)")
      // Rounding to 8 bits can fall the other way twice: in the network and in the decoder.
      let worst = zip(pixels, expected).map { abs($0 - $1) }.max() ?? 0
      #expect(pixels.count == expected.count && worst <= 2, "\(worst) in \(item)")
    }
  }

  @Test("Images that skip layers of the text encoder share a batch with others, each as alone")
  func skippedLayers() async throws {
    let golden = try Golden("models/pictures.safetensors", in: .module)
    let cases = try JSONDecoder().decode(
      [Case].self, from: Data(try #require(golden.metadata["cases"]).utf8))
    let index = try #require(cases.firstIndex { $0.clipSkip ?? 0 > 0 })
    let item = cases[index]
    let checkpoint = try Checkpoint(folder: Self.folder(item.model))
    var skipping = try Self.request(of: item, checkpoint)
    skipping.skippedTextLayers = item.clipSkip
    var other = skipping
    other.skippedTextLayers = nil
    var options = GeneratorOptions()
    (options.rowCapacity, options.width, options.height) = (4, item.width, item.height)
    // The text encoders in memory, and released after each use.
    for residency in [TextResidency.kept, .released] {
      options.textResidency = residency
      let generator = try Generator(checkpoint: checkpoint, options: options, engines: .ofTests)
      let stream = try await generator.images(for: [other, skipping, other, skipping])
      let images = try await stream.reduce(into: [Int: GeneratedImage]()) { $0[$1.index] = $1 }
      let expected = try golden.floats("\(index).pixels")
      for place in [1, 3] {
        let pixels = try #require(images[place]).image.pixels.map(Float.init)
        let worst = zip(pixels, expected).map { abs($0 - $1) }.max() ?? 255
        #expect(worst <= 2, "\(worst) at \(place), \(residency)")
      }
      #expect(images[0]?.image.pixels == images[2]?.image.pixels)
      #expect(images[0]?.image.pixels != images[1]?.image.pixels)
      #expect(generator.parameters(of: skipping).contains("Clip skip: "))
      #expect(!generator.parameters(of: other).contains("Clip skip"))
    }
    skipping.skippedTextLayers = 99
    let generator = try Generator(checkpoint: checkpoint, options: options, engines: .ofTests)
    await #expect(throws: ModelError.self) { _ = try await generator.images(for: [skipping]) }
  }
}
