import FlowCore
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels
@testable import StreamFlow

/// The embedded starter itself, whatever its size; all other suites use an earlier one, `Starter64`.
///
/// With `STREAMFLOW_STARTER` set, they test the starter in that folder.
@Suite(.tags(.engine)) struct EmbeddedStarterTests {
  private static let loaded = Result { try Checkpoint.starter() }
  private let checkpoint: Checkpoint

  init() throws { checkpoint = try Self.loaded.get() }

  /// A field of one of the model's files.
  private func field(_ name: String, of file: String) throws -> Any? {
    let data = try Data(contentsOf: URL(filePath: "\(checkpoint.folder)/\(file)"))
    return try #require(JSONSerialization.jsonObject(with: data) as? [String: Any])[name]
  }

  private func images(
    _ requests: [GenerationRequest], rows: Int
  ) async throws -> [PixelImage] {
    var options = GeneratorOptions()
    options.rowCapacity = rows
    let generator = try Generator(checkpoint: checkpoint, options: options, engines: .ofTests)
    let images = try await generator.images(for: requests)
      .reduce(into: [Int: PixelImage]()) { $0[$1.index] = $1.image }
    return try requests.indices.map { try #require(images[$0]) }
  }

  @Test("It loads under its name, and its size and defaults are those of its files")
  func configuration() throws {
    #expect(checkpoint.name == "starter")
    let sample = try field("sample_size", of: "unet/config.json")
    let side = try #require(sample as? Int)
    let factor = checkpoint.autoencoder.factor
    #expect(checkpoint.nativeSize == PixelSize(width: side * factor, height: side * factor))
    let channels = try field("latent_channels", of: "vae/config.json") as? Int
    let patch = try field("patch_size", of: "vae/config.json") as? [Int] ?? [1, 1]
    #expect(checkpoint.autoencoder.latentChannels == channels.map { $0 * patch[0] * patch[1] })
    let steps = try field("steps", of: "streamflow.json") as? Int
    #expect(checkpoint.defaults().stepCount == steps)
    let report = ModelReport(checkpoint)
    #expect(report.components.map(\.name) == ["unet", "text", "vae"])
    // Its scales are those of its weights.
    #expect(try checkpoint.quantized().networkWeights.quantization != nil)
  }

  @Test("One step makes an image of its own size, which is finite and not plain")
  func image() async throws {
    let model = try await ImageModel.load(engines: .ofTests)
    var request = model.request("a fox on a blue background", seed: 7)
    request.stepCount = 1
    // Latents that are not finite are an error.
    let image = try #require(try await images([request], rows: 2).first)
    #expect(PixelSize(width: image.width, height: image.height) == model.checkpoint.nativeSize)
    let pixels = image.pixels.map(Double.init)
    let mean = pixels.reduce(0, +) / Double(pixels.count)
    let deviation = (pixels.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(pixels.count))
      .squareRoot()
    #expect(deviation > 10, "\(deviation)")
  }

  private struct Case: Decodable {
    let prompt: String
    let seed: UInt64
    let steps: Int
  }

  @Test(
    "Its images and its latents are those of diffusers' parts",
    .enabled(if: ProcessInfo.processInfo.environment["STREAMFLOW_STARTER"] == nil))
  func diffusers() async throws {
    let golden = try Golden("embedded-starter.safetensors", in: .module)
    let cases = try JSONDecoder().decode(
      [Case].self, from: Data(try #require(golden.metadata["cases"]).utf8))
    #expect(cases.count == 2)
    let requests = cases.map { item in
      var request = checkpoint.request(item.prompt)
      (request.seed, request.stepCount) = (item.seed, item.steps)
      return request
    }
    for (index, image) in try await images(requests, rows: 2).enumerated() {
      // Rounding to 8 bits can fall the other way twice: in the network and in the decoder.
      expectClose(
        image.pixels.map(Float.init), try golden.floats("\(index).pixels"), tolerance: 2)
    }
    let size = checkpoint.nativeSize
    let encoder = try await SourceEncoder.make(
      checkpoint, width: size.width, height: size.height, provider: EngineProvider(.ofTests))
    let image = PixelImage(
      width: size.width, height: size.height,
      pixels: try golden.floats("0.pixels").map { UInt8($0) })
    expectClose(
      try encoder.mean(of: image, isShifted: true).scalars, try golden.floats("0.encoded"),
      tolerance: 1e-3)
  }

  @Test("Twelve prompts in one batch give what each alone gives, to 1/255")
  func batch() async throws {
    let prompts = [
      "a fox on a blue background", "an octopus on a yellow background", "rocket", "pizza on green",
      "a penguin", "a unicorn on a pink background", "strawberry on a black background", "a panda",
      "sushi on a gray background", "birthday cake", "an alien on a white background", "xyz",
    ]
    let requests = prompts.enumerated().map { index, prompt in
      var request = checkpoint.request(prompt)
      (request.seed, request.stepCount) = (UInt64(index), 1 + index % 4)
      return request
    }
    let together = try await images(requests, rows: 12)
    #expect(Set(together.map(\.pixels)).count == prompts.count)
    for (image, request) in zip(together, requests) {
      let alone = try #require(try await images([request], rows: 2).first)
      // Rounding to 8 bits can fall the other way.
      expectClose(image.pixels.map(Float.init), alone.pixels.map(Float.init), tolerance: 1)
    }
  }

  @Test("Its vocabulary knows its own prompts and its size, and names what it does not know")
  func vocabulary() throws {
    let vocabulary = try #require(checkpoint.vocabulary)
    let (subjects, backgrounds) = (vocabulary.subjects, vocabulary.backgrounds)
    #expect(subjects.count > 12 && Set(subjects.map(\.name)).count == subjects.count)
    for (index, subject) in subjects.enumerated() {
      let prompt = vocabulary.prompt(of: subject, on: backgrounds[index % backgrounds.count])
      #expect(checkpoint.advice(onPrompts: [prompt]) == [], "\(prompt)")
      #expect(vocabulary.subjects(in: prompt).count == 1, "\(prompt)")
    }
    let unknown = checkpoint.advice(onPrompts: ["a zxcvb"])
    #expect(unknown.map(\.code) == [.unknownWord, .unknownSubject])
    #expect(unknown[0].message.hasPrefix("the starter does not know 'zxcvb'"))
    let size = checkpoint.nativeSize
    #expect(checkpoint.advice(onWidth: size.width, height: size.height) == [])
    let large = checkpoint.advice(onWidth: 8 * size.width, height: 8 * size.height)
    #expect(large.map(\.code) == [.unsuitableSize])
  }
}
