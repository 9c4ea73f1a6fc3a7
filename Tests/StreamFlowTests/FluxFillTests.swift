import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels
@testable import StreamFlow

/// FLUX.1 Fill against diffusers' `FluxFillPipeline`.
@Suite(.tags(.engine)) struct FluxFillTests {
  private struct Case: Decodable {
    let prompt: String
    let seed: UInt64
    let steps: Int
    let strength: Double
    let guidance: Float
    let width: Int
    let height: Int
  }

  /// A copy of the tiny FLUX.1 with the transformer of the tiny Fill.
  private static func copy(in folder: TemporaryFolder) throws -> String {
    let copy = "\(folder.path)/fill"
    let manager = FileManager.default
    try manager.copyItem(atPath: "\(TransformerPipelineTests.folder)/flux", toPath: copy)
    try manager.removeItem(atPath: "\(copy)/transformer")
    try manager.copyItem(
      atPath: "\(TransformerPipelineTests.folder)/flux-fill/transformer",
      toPath: "\(copy)/transformer")
    let index = "\(copy)/model_index.json"
    try String(contentsOfFile: index, encoding: .utf8)
      .replacingOccurrences(of: "\"FluxPipeline\"", with: "\"FluxFillPipeline\"")
      .write(toFile: index, atomically: true, encoding: .utf8)
    return copy
  }

  private static func image(_ name: String, in golden: Golden) throws -> PixelImage {
    let shape = try golden.shape(name)
    return PixelImage(
      width: shape[1], height: shape[0], pixels: try golden.floats(name).map { UInt8($0) })
  }

  @Test("Masked parts are diffusers' at any strength, alone and in one batch")
  func images() async throws {
    let folder = try TemporaryFolder()
    let checkpoint = try Checkpoint(folder: try Self.copy(in: folder))
    #expect(checkpoint.scheduleFinding.reason.hasPrefix("FLUX.1 Fill: "))
    #expect(checkpoint.defaults() == GenerationDefaults(stepCount: 50, guidanceScale: 30))
    let golden = try Golden("\(TransformerPipelineTests.folder)/flux-fill.safetensors")
    let cases = try JSONDecoder().decode(
      [Case].self, from: Data(try #require(golden.metadata["cases"]).utf8))
    let requests = try cases.enumerated().map { index, item in
      var request = GenerationRequest(prompt: item.prompt)
      request.promptSyntax = .plain
      (request.seed, request.stepCount) = (item.seed, item.steps)
      request.guidance = checkpoint.guidance(scale: item.guidance)
      let source = try Self.image("\(index).source", in: golden)
      request.source = InputImage(
        image: source, strength: item.strength,
        mask: ImageMask(
          width: source.width, height: source.height,
          coverage: try golden.floats("\(index).mask").map { UInt8($0) }), maskBlur: 0)
      return request
    }
    func generator(_ item: Case, rows: Int) throws -> Generator {
      var options = GeneratorOptions()
      (options.rowCapacity, options.width, options.height) = (rows, item.width, item.height)
      return try Generator(checkpoint: checkpoint, options: options, engines: .ofTests)
    }
    for (index, item) in cases.enumerated() {
      let made = try await generator(item, rows: 1).images(for: [requests[index]])
        .reduce(into: []) { $0.append($1) }
      // Rounding to 8 bits can fall the other way twice: in the network and in the decoder.
      expectClose(
        try #require(made.first).image.pixels.map(Float.init),
        try golden.floats("\(index).pixels"), tolerance: 2)
    }
    // With an image of a text alone, all of which is painted.
    let text = GenerationRequest(prompt: "a fox")
    let together = try await generator(cases[0], rows: 3)
      .images(for: [requests[0], text, requests[1]])
      .reduce(into: [Int: PixelImage]()) { $0[$1.index] = $1.image }
    #expect(together.count == 3)
    for (place, index) in [(0, 0), (2, 1)] {
      expectClose(
        try #require(together[place]).pixels.map(Float.init),
        try golden.floats("\(index).pixels"), tolerance: 2)
    }
  }

  @Test("A network whose mask does not match the autoencoder is refused")
  func mismatch() throws {
    let folder = try TemporaryFolder()
    let copy = try Self.copy(in: folder)
    let path = "\(copy)/transformer/config.json"
    let text = try String(contentsOfFile: path, encoding: .utf8)
    // Nothing but the masked latents: FLUX.1 Canny and Depth.
    try text.replacingOccurrences(of: "\"in_channels\": 192", with: "\"in_channels\": 128")
      .write(toFile: path, atomically: true, encoding: .utf8)
    let control = #expect(throws: ModelError.self) { _ = try Checkpoint(folder: copy) }
    #expect(control?.message.contains("FLUX.1 Fill") == true)
    try text.replacingOccurrences(of: "\"in_channels\": 192", with: "\"in_channels\": 384")
      .write(toFile: path, atomically: true, encoding: .utf8)
    let other = #expect(throws: ModelError.self) { _ = try Checkpoint(folder: copy) }
    #expect(other?.message.contains("64 pixels of a mask") == true, "\(other?.message ?? "")")
  }
}
