import FlowCore
import FlowEngine
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels
@testable import StreamFlow

/// Reference images in requests, against diffusers' pipelines of FLUX.1 Kontext and FLUX.2 klein.
@Suite(.tags(.engine)) struct ReferenceImageTests {
  struct Case: Decodable {
    let prompt: String
    let seed: UInt64
    let steps: Int
    let guidance: Float
    let width: Int
    let height: Int
  }

  /// A model with the images of its pipeline.
  struct Fixture {
    let checkpoint: Checkpoint
    let requests: [GenerationRequest]
    let pixels: [[Float]]
    /// The model's folder, if it is a copy.
    let copy: TemporaryFolder?

    init(_ name: String) throws {
      let folder = TransformerPipelineTests.folder
      let golden = try Golden("\(folder)/\(name).safetensors")
      let cases = try JSONDecoder().decode(
        [Case].self, from: Data(try #require(golden.metadata["cases"]).utf8))
      if name == "flux-kontext" {
        (checkpoint, copy) = try Self.copy("\(folder)/flux", "FluxPipeline", "FluxKontextPipeline")
      } else if name == "flux2-kv" {
        (checkpoint, copy) = try Self.copy(
          "\(folder)/flux2", "Flux2KleinPipeline", "Flux2KleinKVPipeline")
      } else {
        (checkpoint, copy) = (try Checkpoint(folder: "\(folder)/flux2"), nil)
      }
      let checkpoint = checkpoint
      requests = try cases.enumerated().map { index, item in
        var request = GenerationRequest(prompt: item.prompt)
        request.promptSyntax = .plain
        (request.seed, request.stepCount) = (item.seed, item.steps)
        request.guidance = checkpoint.guidance(scale: item.guidance)
        request.size = PixelSize(width: item.width, height: item.height)
        request.references = try golden.names.filter { $0.hasPrefix("\(index).reference") }
          .map { try Self.image($0, in: golden) }
        request.referenceHashes = request.references.indices.map { "48x40:\($0)" }
        // The golden images do not have the sizes of the model's training.
        if name == "flux-kontext" { request.referenceArea = 1 << 20 }
        return request
      }
      pixels = try cases.indices.map { try golden.floats("\($0).pixels") }
    }

    private static func image(_ name: String, in golden: Golden) throws -> PixelImage {
      let shape = try golden.shape(name)
      return PixelImage(
        width: shape[1], height: shape[0], pixels: try golden.floats(name).map { UInt8($0) })
    }

    /// A copy of a model whose index names another pipeline.
    private static func copy(
      _ folder: String, _ pipeline: String, _ other: String
    ) throws -> (Checkpoint, TemporaryFolder) {
      let temporary = try TemporaryFolder()
      let copy = "\(temporary.path)/\(other)"
      try FileManager.default.copyItem(atPath: folder, toPath: copy)
      let index = "\(copy)/model_index.json"
      try String(contentsOfFile: index, encoding: .utf8)
        .replacingOccurrences(of: "\"\(pipeline)\"", with: "\"\(other)\"")
        .write(toFile: index, atomically: true, encoding: .utf8)
      return (try Checkpoint(folder: copy), temporary)
    }

    func generator(_ size: PixelSize, rows: Int) throws -> Generator {
      var options = GeneratorOptions()
      (options.rowCapacity, options.width, options.height) = (rows, size.width, size.height)
      return try Generator(checkpoint: checkpoint, options: options, engines: .ofTests)
    }
  }

  static let names = ["flux-kontext", "flux2-references", "flux2-kv"]

  @Test("Texts with reference images give diffusers' images", arguments: names)
  func images(name: String) async throws {
    let fixture = try Fixture(name)
    #expect(fixture.requests.contains { !$0.references.isEmpty })
    for (index, request) in fixture.requests.enumerated() {
      let generator = try fixture.generator(try #require(request.size), rows: 2)
      let made = try await generator.images(for: [request]).reduce(into: []) { $0.append($1) }
      // Rounding to 8 bits can fall the other way twice: in the network and in the decoder.
      expectClose(
        try #require(made.first).image.pixels.map(Float.init), fixture.pixels[index], tolerance: 2)
      let parameters = generator.parameters(of: request)
      #expect(
        parameters.contains("References: \(request.references.count)")
          != request.references.isEmpty)
      let settings = GenerationSettings(parsing: parameters)
      #expect(settings.referenceHashes == request.referenceHashes)
    }
  }

  @Test("Rows with references, with others and without mix, each as alone", arguments: names)
  func batches(name: String) async throws {
    let fixture = try Fixture(name)
    let size = PixelSize(width: 32, height: 32)
    let items = fixture.requests.enumerated().filter { $0.element.size == size }
    let requests = (items + items).enumerated().map { number, item in
      var request = item.element
      request.stepCount += number / items.count
      // The same references with another text.
      if number >= items.count { request.prompt = "grinning" }
      return request
    }
    let together = try await fixture.generator(size, rows: 8).images(for: requests)
      .reduce(into: [Int: PixelImage]()) { $0[$1.index] = $1.image }
    #expect(together.count == requests.count)
    for (place, item) in items.enumerated() {
      expectClose(
        try #require(together[place]).pixels.map(Float.init), fixture.pixels[item.offset],
        tolerance: 2)
    }
    let alone = try fixture.generator(size, rows: 2)
    for (index, request) in requests.enumerated() {
      let single = try await alone.images(for: [request]).reduce(into: []) { $0.append($1) }
      expectClose(
        try #require(together[index]).pixels.map(Float.init),
        try #require(single.first).image.pixels.map(Float.init), tolerance: 1)
    }
  }

  @Test("A smaller area reads fewer pixels, and changes the image")
  func area() async throws {
    let fixture = try Fixture("flux2-references")
    var request = try #require(fixture.requests.first)
    #expect(
      try fixture.checkpoint.structure(of: request).references
        == [LatentSize(height: 8, width: 9), LatentSize(height: 11, width: 8)])
    request.referenceArea = 1024
    #expect(
      try fixture.checkpoint.structure(of: request).references
        == [LatentSize(height: 3, width: 4), LatentSize(height: 4, width: 3)])
    let made = try await fixture.generator(try #require(request.size), rows: 1)
      .images(for: [request]).reduce(into: []) { $0.append($1) }
    let pixels = try #require(made.first).image.pixels.map(Float.init)
    #expect(zip(pixels, fixture.pixels[0]).contains { abs($0 - $1) > 4 })
  }

  @Test("Requests whose references a model does not read are refused")
  func refusals() throws {
    func message(_ checkpoint: Checkpoint, _ request: GenerationRequest) -> String {
      do { try checkpoint.check(request) } catch {
        #expect(error.code == .requestInvalid && error.settings == [.references])
        return error.message
      }
      return ""
    }
    func image(_ width: Int, _ height: Int) -> PixelImage {
      PixelImage(
        width: width, height: height, pixels: [UInt8](repeating: 9, count: 3 * width * height))
    }
    let (kontext, klein) = (try Fixture("flux-kontext"), try Fixture("flux2-references"))
    let dev = try Checkpoint(folder: "\(TransformerPipelineTests.folder)/flux")
    #expect(
      [dev, kontext.checkpoint, klein.checkpoint].map(\.referenceLimit) == [0, 1, 10])
    var request = GenerationRequest(prompt: "")
    request.references = [image(80, 80)]
    #expect(message(dev, request).contains("reads no reference images, and the request has 1"))
    #expect(message(kontext.checkpoint, request).isEmpty)
    request.references = [image(80, 80), image(80, 80)]
    #expect(message(kontext.checkpoint, request).contains("at most 1 reference image, got 2"))
    #expect(message(klein.checkpoint, request).isEmpty)
    request.references = [image(63, 80)]
    #expect(message(klein.checkpoint, request).contains("at least 64 pixels a side"))
    request.references = [image(64, 513)]
    #expect(message(klein.checkpoint, request).contains("got 64x513"))
    request.references = [image(64, 80)]
    request.referenceArea = 10
    #expect(message(klein.checkpoint, request).contains("at least 8 pixels a side"))
    request.referenceArea = 0
    #expect(message(klein.checkpoint, request).contains("is 1 pixel or more, got 0"))
    var settings = LiveSettings(prompt: "")
    settings.request.references = [image(80, 80)]
    let live = #expect(throws: ModelError.self) { _ = try klein.checkpoint.plan(for: settings) }
    #expect(live?.message.contains("a live stream reads no reference images") == true)
  }
}
