import FlowCore
import FlowEngine
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels
@testable import StreamFlow

/// Masks and editing through `Generator`, against diffusers' inpainting pipelines and the methods' own
/// step formulas over diffusers' networks.
@Suite(.tags(.engine)) struct EditedImageTests {
  private struct Case: Decodable {
    let model: String
    let schedule: String
    let prompt: String
    let seed: UInt64
    let steps: Int
    let strength: Double
    let guidance: Float
    let method: String?
    let sourcePrompt: String?
  }

  /// The models of the other fixtures; that of inpainting has all but its network in common.
  private static func checkpoint(_ model: String) throws -> Checkpoint {
    if model == "starter" { return try .starter64() }
    if model == "sd3" { return try Checkpoint(folder: "\(TransformerPipelineTests.folder)/sd3") }
    let folder = PipelineTests.folder("sd")
    guard model != "sd" else { return try Checkpoint(folder: folder) }
    let manager = FileManager.default
    let joined = manager.temporaryDirectory.appending(path: "inpainting-\(UUID().uuidString)")
    defer { try? manager.removeItem(at: joined) }
    try manager.createDirectory(at: joined, withIntermediateDirectories: true)
    for part in try manager.contentsOfDirectory(atPath: folder) {
      let source =
        part == "unet" ? PipelineTests.folder("inpainting") + "/unet" : "\(folder)/\(part)"
      try manager.copyItem(atPath: source, toPath: joined.appending(path: part).path())
    }
    return try Checkpoint(folder: joined.path())
  }

  private static func request(
    _ item: Case, of checkpoint: Checkpoint, source: PixelImage, mask: ImageMask?
  ) throws -> GenerationRequest {
    var request = GenerationRequest(prompt: item.prompt)
    request.seed = item.seed
    request.stepCount = item.steps
    request.schedule = try #require(ScheduleChoice(item.schedule))
    request.spacing = .uniform
    request.source = InputImage(image: source, strength: item.strength, mask: mask, maskBlur: 0)
    request.guidance = checkpoint.guidance(scale: item.guidance)
    if let method = item.method {
      request.editing = Editing(
        try #require(EditingMethod(rawValue: method)), sourcePrompt: item.sourcePrompt ?? "")
    }
    return request
  }

  private static func golden(
    _ golden: Golden
  ) throws -> [(Case, PixelImage, ImageMask?, [UInt8])] {
    let cases = try JSONDecoder().decode(
      [Case].self, from: Data(try #require(golden.metadata["cases"]).utf8))
    return try cases.enumerated().map { index, item in
      let shape = try golden.shape("\(index).source")
      func bytes(_ name: String) throws -> [UInt8] {
        try golden.floats("\(index).\(name)").map { UInt8($0) }
      }
      let mask =
        item.method == nil
        ? ImageMask(width: shape[1], height: shape[0], coverage: try bytes("mask")) : nil
      return (
        item, PixelImage(width: shape[1], height: shape[0], pixels: try bytes("source")), mask,
        try bytes("pixels")
      )
    }
  }

  private static func difference(
    _ image: PixelImage, _ expected: [UInt8], where mask: ImageMask?
  ) -> Int {
    image.pixels.indices.reduce(0) { worst, index in
      if let mask, mask.coverage[index / 3] == 0 { return worst }
      return max(worst, abs(Int(image.pixels[index]) - Int(expected[index])))
    }
  }

  @Test("Masks and editing methods give the reference's image, alone and all in one batch")
  func references() async throws {
    let golden = try Self.golden(Golden("models/edits.safetensors", in: .module))
    #expect(golden.count == 10)
    try await Self.expectReferences(golden)
  }

  @Test("Editing methods with Stable Diffusion 3 give the reference's image")
  func stableDiffusion3() async throws {
    let golden = try Self.golden(
      Golden("\(TransformerPipelineTests.folder)/sd3-edits.safetensors"))
    #expect(golden.count == 5 && golden.allSatisfy { $0.0.model == "sd3" })
    try await Self.expectReferences(golden)
  }

  private static func expectReferences(
    _ golden: [(Case, PixelImage, ImageMask?, [UInt8])]
  ) async throws {
    for model in Set(golden.map(\.0.model)) {
      let checkpoint = try Self.checkpoint(model)
      let cases = golden.filter { $0.0.model == model }
      var options = GeneratorOptions()
      options.rowCapacity = 12
      let generator = try Generator(checkpoint: checkpoint, options: options, engines: .ofTests)
      let requests = try cases.map { item, source, mask, _ in
        try Self.request(item, of: checkpoint, source: source, mask: mask)
      }
      let together = try await generator.images(for: requests).reduce(into: [Int: PixelImage]()) {
        $0[$1.index] = $1.image
      }
      for (index, (item, source, mask, expected)) in cases.enumerated() {
        let alone = try #require(
          try await generator.images(for: [requests[index]]).reduce(into: []) { $0.append($1) }
            .first
        ).image
        let mixed = try #require(together[index])
        #expect(Set(expected).count > 50, "\(item)")
        // Rounding to 8 bits can fall the other way twice: in the network and in the decoder.
        let worst = Self.difference(alone, expected, where: mask)
        #expect(worst <= 2, "\(worst) in \(item)")
        #expect(Self.difference(mixed, alone.pixels, where: nil) <= 1, "\(item)")
        guard let mask else { continue }
        // What the mask leaves is the source, byte for byte.
        for place in mask.coverage.indices where mask.coverage[place] == 0 {
          #expect(
            alone.pixels[3 * place..<3 * place + 3] == source.pixels[3 * place..<3 * place + 3])
        }
      }
    }
  }

  @Test("A part is repainted at full resolution, and the rest of a large image is untouched")
  func region() async throws {
    let (width, height) = (200, 120)
    let image = PixelImage(
      width: width, height: height,
      pixels: (0..<3 * width * height).map { UInt8($0 * 31 % 251) })
    var coverage = [UInt8](repeating: 0, count: width * height)
    for y in 40..<60 { for x in 150..<170 { coverage[y * width + x] = 255 } }
    let mask = ImageMask(width: width, height: height, coverage: coverage)
    let size = PixelSize(width: 64, height: 64)
    let region = try MaskedRegion(image, mask: mask, padding: 6, size: size)
    #expect(region.region == PixelRegion(x: 144, y: 34, width: 32, height: 32))
    let edge = try MaskedRegion(image, mask: mask, padding: 40, size: size)
    #expect(edge.region == PixelRegion(x: 100, y: 0, width: 100, height: 100))
    var request = GenerationRequest(prompt: "a fox on a blue background")
    request.source = region.input(strength: 1, blur: 0)
    let generator = try Generator(checkpoint: .starter64(), engines: .ofTests)
    let made = try #require(
      try await generator.images(for: [request]).reduce(into: []) { $0.append($1) }.first
    ).image
    let result = region.pasted(made, blur: 1)
    var changed = 0
    for place in coverage.indices {
      let isSame =
        result.pixels[3 * place..<3 * place + 3] == image.pixels[3 * place..<3 * place + 3]
      if coverage[place] == 0 { #expect(isSame) } else if !isSame { changed += 1 }
    }
    #expect(changed > 300)
  }

  @Test("Margins repeat the edge, and their mask repaints them alone")
  func margins() {
    let image = PixelImage(width: 2, height: 1, pixels: [1, 2, 3, 4, 5, 6])
    let extended = ImageMargins(left: 1, bottom: 1).extend(image)
    #expect(extended.image.width == 3 && extended.image.height == 2)
    #expect(extended.image.pixels == [1, 2, 3, 1, 2, 3, 4, 5, 6, 1, 2, 3, 1, 2, 3, 4, 5, 6])
    #expect(extended.mask.coverage == [255, 0, 0, 255, 255, 255])
  }

  @Test("Invalid masks and edits are rejected before anything runs")
  func errors() async throws {
    let generator = try Generator(checkpoint: .starter64(), engines: .ofTests)
    let image = PixelImage(width: 8, height: 8, pixels: [UInt8](repeating: 9, count: 192))
    func message(_ change: (inout GenerationRequest) -> Void) async -> String {
      var request = GenerationRequest(prompt: "a fox")
      request.source = InputImage(image: image)
      change(&request)
      do {
        _ = try await generator.events(for: [request])
        return "none"
      } catch { return "\(error)" }
    }
    let black = ImageMask(width: 8, height: 8, coverage: [UInt8](repeating: 0, count: 64))
    #expect(await message { $0.source?.mask = black }.contains("repaints nothing"))
    #expect(
      await message {
        $0.source?.maskBlur = -1; $0.source?.mask = black.inverted
      }
      .contains("0 to 1024 pixels"))
    #expect(
      await message {
        $0.source = nil; $0.editing = Editing(.flowEdit())
      }
      .contains("flowedit edits an image"))
    #expect(
      await message {
        $0.editing = Editing(.flowEdit()); $0.guidance = .full(scale: 3)
      }
      .contains("guidance scales of its own"))
    #expect(
      await message {
        $0.editing = Editing(.rfInversion()); $0.solver = .heun
      }
      .contains("solver of its own"))
    #expect(
      await message {
        $0.editing = Editing(.rfInversion()); $0.schedule = .piecewise(PiecewiseFlowSchedule())
      }
      .contains("straight flows"))
    var options = GeneratorOptions()
    options.rowCapacity = 2
    let small = try Generator(checkpoint: .starter64(), options: options, engines: .ofTests)
    var request = GenerationRequest(prompt: "a fox")
    request.source = InputImage(image: image)
    request.editing = Editing(.flowAlign())
    let error = await #expect(throws: ModelError.self) {
      _ = try await small.events(for: [request])
    }
    #expect(error?.message.contains("takes 3 rows of a tick, which has 2") == true)
  }
}
