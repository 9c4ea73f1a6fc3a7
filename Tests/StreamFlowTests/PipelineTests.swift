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

  private static func pixels(of item: Case, in folder: String) async throws -> [Float] {
    let checkpoint = try Checkpoint(folder: folder)
    var request = GenerationRequest(prompt: item.prompt)
    request.seed = item.seed
    request.stepCount = item.steps
    request.guidance = checkpoint.guidance(scale: item.guidance)
    request.negativePrompt = item.negative ?? ""
    request.schedule = try #require(ScheduleChoice(item.schedule))
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
}
