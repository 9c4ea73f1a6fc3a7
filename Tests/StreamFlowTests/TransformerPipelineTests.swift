import FlowCore
import FlowEngine
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels
@testable import StreamFlow

/// Whole tiny checkpoints of transformer families through `Generator`, against diffusers' own
/// pipelines.
@Suite(.tags(.engine)) struct TransformerPipelineTests {
  struct Case: Decodable, Sendable {
    let model: String
    let prompt: String
    let seed: UInt64
    let steps: Int
    let guidance: Float
    let negative: String
    let width: Int
    let height: Int
    let strength: Double?
    let withoutT5: Bool?
  }

  /// The golden files, which lie with the families' own.
  static let folder = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../FlowModelsTests/Fixtures/pipelines").standardizedFileURL.path

  private static func golden(_ name: String) throws -> (cases: [Case], golden: Golden) {
    let golden = try Golden("\(folder)/\(name).safetensors")
    let cases = try JSONDecoder().decode(
      [Case].self, from: Data(try #require(golden.metadata["cases"]).utf8))
    return (cases, golden)
  }

  /// A copy of a model without its T5.
  private static func withoutT5(_ folder: String, in temporary: TemporaryFolder) throws -> String {
    let copy = "\(temporary.path)/\(UUID().uuidString)"
    try FileManager.default.copyItem(atPath: folder, toPath: copy)
    for part in ["text_encoder_3", "tokenizer_3"] {
      try FileManager.default.removeItem(atPath: "\(copy)/\(part)")
    }
    let file = "\(copy)/model_index.json"
    var index = try #require(
      JSONSerialization.jsonObject(with: Data(contentsOf: URL(filePath: file))) as? [String: Any])
    for part in ["text_encoder_3", "tokenizer_3"] { index[part] = [NSNull(), NSNull()] }
    try JSONSerialization.data(withJSONObject: index).write(to: URL(filePath: file))
    return copy
  }

  private static func request(
    _ item: Case, of checkpoint: Checkpoint, source: PixelImage?
  ) -> GenerationRequest {
    var request = GenerationRequest(prompt: item.prompt)
    request.promptSyntax = .plain
    (request.seed, request.stepCount) = (item.seed, item.steps)
    request.guidance = checkpoint.guidance(scale: item.guidance)
    request.negativePrompt = item.negative
    if let source, let strength = item.strength {
      request.source = InputImage(image: source, strength: strength)
    }
    return request
  }

  private static func source(_ index: Int, in golden: Golden) throws -> PixelImage? {
    guard golden.names.contains("\(index).source") else { return nil }
    let shape = try golden.shape("\(index).source")
    return PixelImage(
      width: shape[1], height: shape[0],
      pixels: try golden.floats("\(index).source").map { UInt8($0) })
  }

  @Test("Every family gives diffusers' image of a text and of an image", arguments: names)
  func images(name: String) async throws {
    let (cases, golden) = try Self.golden(name)
    #expect(cases.count >= 3)
    let temporary = try TemporaryFolder()
    for (index, item) in cases.enumerated() {
      var folder = "\(Self.folder)/\(item.model)"
      if item.withoutT5 == true { folder = try Self.withoutT5(folder, in: temporary) }
      let checkpoint = try Checkpoint(folder: folder)
      var options = GeneratorOptions()
      (options.rowCapacity, options.width, options.height) = (2, item.width, item.height)
      let generator = try Generator(checkpoint: checkpoint, options: options, engines: .ofTests)
      let request = Self.request(
        item, of: checkpoint, source: try Self.source(index, in: golden))
      let made = try await generator.images(for: [request]).reduce(into: []) { $0.append($1) }
      let pixels = try #require(made.first).image.pixels.map(Float.init)
      let expected = try golden.floats("\(index).pixels")
      #expect(Set(expected).count > 50, "\(item)")
      // Rounding to 8 bits can fall the other way twice: in the network and in the decoder.
      let worst = zip(pixels, expected).map { abs($0 - $1) }.max() ?? 0
      #expect(pixels.count == expected.count && worst <= 2, "\(worst) in \(item)")
    }
  }

  @Test(
    "Prompts, steps and guidance mix in one batch, and each image is what it is alone",
    arguments: names)
  func batches(name: String) async throws {
    let (cases, golden) = try Self.golden(name)
    let items = cases.enumerated().filter {
      $0.element.width == 32 && $0.element.height == 32 && $0.element.withoutT5 != true
    }
    let checkpoint = try Checkpoint(folder: "\(Self.folder)/\(name)")
    let requests = try (items + items).enumerated().map { number, entry in
      let source = try Self.source(entry.offset, in: golden)
      var request = Self.request(entry.element, of: checkpoint, source: source)
      request.stepCount += number / items.count
      return request
    }
    var options = GeneratorOptions()
    (options.rowCapacity, options.width, options.height) = (6, 32, 32)
    let together = try await Generator(checkpoint: checkpoint, options: options, engines: .ofTests)
      .images(for: requests).reduce(into: [Int: PixelImage]()) { $0[$1.index] = $1.image }
    options.rowCapacity = 2
    let alone = try Generator(checkpoint: checkpoint, options: options, engines: .ofTests)
    for (index, request) in requests.enumerated() {
      let single = try await alone.images(for: [request]).reduce(into: []) { $0.append($1) }
      expectClose(
        try #require(together[index]).pixels.map(Float.init),
        try #require(single.first).image.pixels.map(Float.init), tolerance: 1)
    }
  }

  static let names = ["sd3", "flux", "flux-schnell", "flux2", "zimage", "dreamlite"]
}
