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
    let start: Double?
    let end: Double?
    let strength: Double?
  }

  /// The image encoder of the fixtures of `FlowModels`.
  private static let imageEncoder = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../FlowModelsTests/Fixtures/image-adapters/image_encoder")
    .standardizedFileURL.path

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
        range: (item.start ?? 0)...(item.end ?? 1))
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

  @Test("IP-Adapters give diffusers' image, with masks and without, alone and mixed")
  func imagePrompts() async throws {
    let golden = try Golden("models/ip-adapters.safetensors", in: .module)
    let cases = try JSONDecoder().decode(
      [Case].self, from: Data(try #require(golden.metadata["cases"]).utf8))
    let encoder = Self.imageEncoder
    let checkpoint = try Checkpoint(folder: PipelineTests.folder("sd")).attaching(
      ["plain", "plus"].map { kind in
        var file = AdapterFile(path: PipelineTests.folder("ip-\(kind).safetensors"))
        file.imageEncoder = encoder
        return file
      })
    #expect(checkpoint.adapters.map(\.readsMask) == [true, true])
    var options = GeneratorOptions()
    options.rowCapacity = 6
    let generator = try Generator(checkpoint: checkpoint, options: options, engines: .ofTests)
    let requests = try cases.enumerated().map { index, item in
      var request = GenerationRequest(prompt: item.prompt)
      (request.seed, request.stepCount) = (item.seed, item.steps)
      request.schedule = try #require(ScheduleChoice("euler"))
      request.guidance = item.guidance == 1 ? .none : .full(scale: item.guidance)
      request.controls = [
        ControlInput(
          "ip-\(item.kind)", image: try Self.image(golden, "\(index).reference"),
          scale: item.scale)
      ]
      if golden.names.contains("\(index).mask") {
        request.controls[0].mask = ImageMask(
          width: 32, height: 32, coverage: try golden.floats("\(index).mask").map { UInt8($0) })
      }
      return request
    }
    #expect(requests.count { $0.controls[0].mask != nil } == 2)
    let mixed = try await generator.images(for: requests).reduce(into: [Int: PixelImage]()) {
      $0[$1.index] = $1.image
    }
    for (index, item) in cases.enumerated() {
      let expected = try Self.image(golden, "\(index).pixels")
      // Rounding to 8 bits can fall the other way twice: in the network and in the decoder.
      #expect(Self.difference(try #require(mixed[index]), expected) <= 2, "\(item)")
      let masked = requests[index].controls[0].mask != nil
      guard masked else { continue }
      var everywhere = requests[index]
      everywhere.controls[0].mask = nil
      let whole = try #require(
        try await generator.images(for: [everywhere]).reduce(into: []) { $0.append($1) }.first)
      #expect(Self.difference(whole.image, expected) > 4)
      var hashed = (requests[index], everywhere)
      hashed.0.recordInputHashes()
      hashed.1.recordInputHashes()
      #expect(hashed.0.controls[0].hash?.hasPrefix(hashed.1.controls[0].hash ?? "-") == true)
      #expect(hashed.0.controls[0].hash != hashed.1.controls[0].hash)
    }
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
      (
        ControlInput("controlnet", image: image, mask: ImageMask(luma: image)),
        "is a controlnet, which reads no mask; IP-Adapters do"
      ),
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
