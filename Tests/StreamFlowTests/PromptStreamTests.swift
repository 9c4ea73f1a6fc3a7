import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import Testing

@testable import FlowModels
@testable import StreamFlow

/// Prompts of one and of several chunks in one stream.
@Suite(.tags(.engine)) struct PromptStreamTests {
  private static let fox = "a fox on a blue background"
  private static func long(_ chunks: Int) -> String {
    ([String](repeating: fox, count: chunks)).joined(separator: " BREAK ")
  }

  private static func request(
    _ prompt: String, seed: Int, steps: Int = 4, negative: String? = nil
  ) -> GenerationRequest {
    var request = GenerationRequest(prompt: prompt)
    request.seed = UInt64(seed)
    request.stepCount = steps
    request.guidance = negative == nil ? .none : .full(scale: 2)
    request.negativePrompt = negative ?? ""
    return request
  }

  private static func generator(rows: Int) throws -> Generator {
    var options = GeneratorOptions()
    options.rowCapacity = rows
    return try Generator(checkpoint: .starter64(), options: options, engines: .ofTests)
  }

  @Test("Prompts of different lengths in one stream give what each alone gives, to 1/255")
  func mix() async throws {
    let requests = [
      Self.request(Self.fox, seed: 1),
      Self.request("a (rocket:1.3), " + Self.long(2), seed: 2, steps: 6),
      Self.request("an (octopus) on [red]", seed: 3, negative: Self.long(3)),
      Self.request(Self.long(3), seed: 4, steps: 2),
      Self.request("sushi", seed: 5),
      // Five and three are fifteen together, more than share a tick: it waits, then runs alone.
      Self.request(Self.long(5), seed: 6, negative: Self.long(3)),
      Self.request("unicorn", seed: 7, negative: ""),
    ]
    let generator = try Self.generator(rows: 5)
    let together = try await generator.images(for: requests)
      .reduce(into: [Int: PixelImage]()) { $0[$1.index] = $1.image }
    #expect(together.count == requests.count)
    let alone = try Self.generator(rows: 2)
    for (index, request) in requests.enumerated() {
      let single = try await alone.images(for: [request]).reduce(into: []) { $0.append($1) }
      expectClose(
        try #require(together[index]).pixels.map(Float.init),
        try #require(single.first).image.pixels.map(Float.init), tolerance: 1)
    }
  }

  @Test(
    "Two text encoders read chunk by chunk, concatenated; the pooled state is the first chunk's")
  func twoEncoders() async throws {
    let checkpoint = try Checkpoint(folder: PipelineTests.folder("sdxl"))
    let conditioner = Conditioner(
      checkpoint,
      prompts: try await .make(
        checkpoint, skippedLayers: 0, provider: EngineProvider(.ofTests)),
      size: PixelSize(width: 32, height: 32), table: nil)
    let fox = try conditioner.prompted(Self.request("a (fox)", seed: 0))
    let rocket = try conditioner.prompted(Self.request("rocket", seed: 0))
    let both = try conditioner.prompted(Self.request("a (fox) BREAK rocket", seed: 0))
    let texts = try [both, fox, rocket].map { try #require($0.elements(of: "hidden")) }
    #expect(texts[0] == texts[1] + texts[2])
    #expect(both.timeInputs == fox.timeInputs && both.timeInputs != rocket.timeInputs)

    let requests = [
      Self.request(Self.long(2), seed: 1, negative: ""),
      Self.request("fox", seed: 2, negative: "red"),
      Self.request("a (rocket)", seed: 3),
    ]
    var options = GeneratorOptions()
    options.rowCapacity = 5
    let generator = try Generator(checkpoint: checkpoint, options: options, engines: .ofTests)
    let together = try await generator.images(for: requests)
      .reduce(into: [Int: PixelImage]()) { $0[$1.index] = $1.image }
    for (index, request) in requests.enumerated() {
      let single = try await generator.images(for: [request]).reduce(into: []) { $0.append($1) }
      expectClose(
        try #require(together[index]).pixels.map(Float.init),
        try #require(single.first).image.pixels.map(Float.init), tolerance: 1)
    }
  }

  @Test("Engines are of the tokens that are there: one chunk's where all prompts have one")
  func engines() async throws {
    let generator = try Self.generator(rows: 2)
    func make(_ prompts: String...) async throws -> [String] {
      let before = await generator.statistics.engines.filter { $0.name.hasPrefix("unet") }.count
      let requests = prompts.map { Self.request($0, seed: 1, steps: 1) }
      for try await _ in try await generator.images(for: requests) {}
      return await generator.statistics.engines.map(\.name).filter { $0.hasPrefix("unet") }
        .dropFirst(before).map { $0 }
    }
    #expect(try await make("fox", "a (fox)") == ["unet_2x16x16_40"])
    #expect(try await make("fox", Self.long(2)) == ["unet_2x16x16_80"])
    #expect(try await make(Self.long(3), Self.long(2)) == ["unet_2x16x16_240"])
    #expect(try await make("fox", "rocket") == [])
  }
}
