import FlowCore
import FlowEngine
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels
@testable import StreamFlow

/// ControlNets and T2I-Adapters through `Generator`, against diffusers' own pipelines.
@Suite(.tags(.engine)) struct AdaptedImageTests {
  private struct Case: Decodable {
    let kind: String
    let prompt: String
    let seed: UInt64
    let steps: Int
    let guidance: Float
    let scale: Float
    let start: Double
    let end: Double
    let strength: Double?
  }

  private static func checkpoint() throws -> Checkpoint {
    try Checkpoint(folder: PipelineTests.folder("sd")).attaching([
      AdapterFile(path: PipelineTests.folder("controlnet")),
      AdapterFile(path: PipelineTests.folder("t2i-adapter")),
    ])
  }

  private static func image(_ golden: Golden, _ name: String) throws -> PixelImage {
    let shape = try golden.shape(name)
    return PixelImage(
      width: shape[1], height: shape[0], pixels: try golden.floats(name).map { UInt8($0) })
  }

  private static func request(_ item: Case, _ index: Int, _ golden: Golden) throws
    -> GenerationRequest
  {
    var request = GenerationRequest(prompt: item.prompt)
    request.seed = item.seed
    request.stepCount = item.steps
    request.schedule = try #require(ScheduleChoice("euler"))
    request.guidance = item.guidance == 1 ? .none : .full(scale: item.guidance)
    if let strength = item.strength {
      request.source = InputImage(image: try image(golden, "\(index).source"), strength: strength)
    }
    request.controls = [
      ControlInput(
        item.kind, image: try image(golden, "\(index).hint"), scale: item.scale,
        range: item.start...item.end)
    ]
    return request
  }

  private static func difference(_ image: PixelImage, _ other: PixelImage) -> Int {
    zip(image.pixels, other.pixels).map { abs(Int($0) - Int($1)) }.max() ?? 0
  }

  @Test("Adapters give diffusers' image, alone and mixed with others and with plain images")
  func references() async throws {
    let golden = try Golden("models/adapters.safetensors", in: .module)
    let cases = try JSONDecoder().decode(
      [Case].self, from: Data(try #require(golden.metadata["cases"]).utf8))
    #expect(cases.count == 5)
    var options = GeneratorOptions()
    options.rowCapacity = 6
    let checkpoint = try Self.checkpoint()
    #expect(checkpoint.adapters.map(\.kind) == [.controlNet, .t2iAdapter])
    let generator = try Generator(checkpoint: checkpoint, options: options, engines: .ofTests)
    var requests = try cases.enumerated().map { try Self.request($1, $0, golden) }
    var plain = requests[0]
    plain.controls = []
    requests.append(plain)
    let mixed = try await generator.images(for: requests).reduce(into: [Int: PixelImage]()) {
      $0[$1.index] = $1.image
    }
    let alone = try Generator(
      checkpoint: Checkpoint(folder: PipelineTests.folder("sd")), options: options,
      engines: .ofTests)
    let own = try #require(
      try await alone.images(for: [plain]).reduce(into: []) { $0.append($1) }.first
    ).image
    #expect(Self.difference(try #require(mixed[5]), own) <= 1)
    for (index, item) in cases.enumerated() {
      let expected = try Self.image(golden, "\(index).pixels")
      let image = try #require(
        try await generator.images(for: [requests[index]]).reduce(into: []) { $0.append($1) }.first
      ).image
      // Rounding to 8 bits can fall the other way twice: in the network and in the decoder.
      #expect(Self.difference(image, expected) <= 2, "\(item)")
      #expect(Self.difference(try #require(mixed[index]), image) <= 1, "\(item)")
    }
    #expect(Self.difference(own, try Self.image(golden, "0.pixels")) > 20)
  }

  @Test("Unknown adapters, missing images and numbers out of range are rejected at once")
  func errors() async throws {
    let checkpoint = try Self.checkpoint()
    let generator = try Generator(checkpoint: checkpoint, engines: .ofTests)
    let image = PixelImage(width: 4, height: 4, pixels: [UInt8](repeating: 1, count: 48))
    for (control, words) in [
      (
        ControlInput("depth", image: image),
        "no adapter 'depth'; it has 'controlnet', 't2i-adapter'"
      ),
      (ControlInput(image: image), "several adapters"),
      (ControlInput("controlnet"), "has no image"),
      (ControlInput("controlnet", image: image, scale: 9), "0 to 4, got 9"),
      (ControlInput("controlnet", image: image, preset: "style"), "no preset 'style'"),
    ] {
      var request = GenerationRequest(prompt: "a fox")
      request.controls = [control]
      let error = await #expect(throws: ModelError.self) {
        _ = try await generator.events(for: [request])
      }
      #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
    }
    let twice = PipelineTests.folder("controlnet")
    #expect(throws: ModelError.self) {
      try checkpoint.attaching([AdapterFile(path: twice)])
    }
    #expect(throws: ModelError.self) {
      try Checkpoint.starter64().attaching([AdapterFile(path: PipelineTests.folder("sd"))])
    }
    let misfit = #expect(throws: ModelError.self) {
      try Checkpoint.starter64().attaching([AdapterFile(path: twice)])
    }
    #expect(misfit?.message.contains("another kind of model") == true)
  }
}
