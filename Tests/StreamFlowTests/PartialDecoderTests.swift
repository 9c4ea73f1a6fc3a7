import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import Testing

@testable import FlowModels
@testable import StreamFlow

/// Changes decoded alone against whole images.
@Suite(.tags(.engine)) struct PartialDecoderTests {
  private let height = 72
  private let width = 96

  private static func decoder(height: Int, width: Int) throws -> PartialDecoder? {
    let checkpoint = try Checkpoint.starter64()
    let weights = checkpoint.autoencoderWeights
    return PartialDecoder(
      Autoencoder(configuration: checkpoint.autoencoder, weights: weights.root), height: height,
      width: width, weightsIdentity: weights.identity, provider: EngineProvider(.ofTests))
  }

  private func latents(seed: UInt64) -> Latents {
    var noise = GaussianNoise(seed: seed)
    return noise.latents(shape: [4, height, width])
  }

  @Test("The images of changed latents are those of the same latents from the beginning")
  func exact() async throws {
    let decoder = try #require(try Self.decoder(height: height, width: width))
    try await decoder.prepare()
    var sample = latents(seed: 0)
    _ = try #require(try decoder.decode(sample))
    for (index, part) in [
      PixelRegion(x: 0, y: 0, width: 1, height: 1), PixelRegion(x: 60, y: 30, width: 9, height: 5),
      PixelRegion(x: 95, y: 71, width: 1, height: 1),
      PixelRegion(x: 0, y: 0, width: 96, height: 72),
      PixelRegion(x: 40, y: 0, width: 2, height: 72),
    ].enumerated() {
      let other = latents(seed: UInt64(index + 1))
      sample = sample.replacing(
        part, with: other, covering: PixelRegion(x: 0, y: 0, width: width, height: height))
      let image = try #require(try decoder.decode(sample))
      let fresh = try #require(try Self.decoder(height: height, width: width))
      try await fresh.prepare()
      #expect(try fresh.decode(sample) == image, "change \(index)")
    }
    let again = try decoder.decode(sample)
    #expect(again != nil)
    // Whole images are made by another engine, which sums in another order.
    let whole = try await Program.shared(wholeModule())
    whole.write("latents", ContiguousArray(sample.scalars).span)
    try whole.run()
    expectClose(
      try #require(again).pixels.map(Float.init), whole.floats("pixels"), tolerance: 1)
  }

  private func wholeModule() throws -> GraphModule {
    let checkpoint = try Checkpoint.starter64()
    let weights = checkpoint.autoencoderWeights
    return GraphModule(
      try Autoencoder(configuration: checkpoint.autoencoder, weights: weights.root)
        .decoderGraph(rows: 1, height: height, width: width), weightsIdentity: weights.identity)
  }

  @Test("Small changes are worth it, large ones are not; after a large one the tensors stay")
  func choice() async throws {
    let decoder = try #require(try Self.decoder(height: height, width: width))
    try await decoder.prepare()
    let everywhere = PixelRegion(x: 0, y: 0, width: width, height: height)
    func changed(_ sample: Latents, _ part: PixelRegion, seed: UInt64) -> Latents {
      sample.replacing(part, with: latents(seed: seed), covering: everywhere)
    }
    let corner = PixelRegion(x: 0, y: 0, width: 4, height: 4)
    let first = latents(seed: 0)
    #expect(!decoder.isWorthwhile(first))
    let second = changed(first, corner, seed: 1)
    #expect(decoder.isWorthwhile(second))
    _ = try decoder.decode(second)
    #expect(!decoder.isWorthwhile(latents(seed: 2)))
    #expect(decoder.isWorthwhile(changed(second, corner, seed: 3)))
    #expect(decoder.isWorthwhile(second))
  }

  @Test("There is none where a tile is the image, or where images are normalized as a whole")
  func none() throws {
    #expect(try Self.decoder(height: 16, width: 16) == nil)
    let checkpoint = try Checkpoint(folder: PipelineTests.folder("sd"))
    guard case .full = checkpoint.autoencoder.kind else { return }
    let weights = checkpoint.autoencoderWeights
    let autoencoder = Autoencoder(configuration: checkpoint.autoencoder, weights: weights.root)
    #expect(
      PartialDecoder(
        autoencoder, height: 128, width: 128, weightsIdentity: weights.identity,
        provider: EngineProvider(.ofTests)) == nil)
  }

  @Test("After latents that are NaN, the next image is made from the beginning")
  func notFinite() async throws {
    let decoder = try #require(try Self.decoder(height: height, width: width))
    try await decoder.prepare()
    let sound = latents(seed: 0)
    let expected = try decoder.decode(sound)
    var scalars = sound.scalars
    scalars[5000] = .nan
    #expect(try decoder.decode(Latents(shape: sound.shape, scalars: scalars)) == nil)
    #expect(try decoder.decode(sound) == expected && expected != nil)
  }
}
