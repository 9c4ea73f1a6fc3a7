import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels
@testable import StreamFlow

/// Images decoded in tiles against the same decoded whole.
@Suite(.tags(.engine)) struct TiledDecoderTests {
  private let autoencoder: Autoencoder
  private let store: WeightStore

  init() throws { try self.init(folder: Bundle.module.fixture("vae-full")) }

  private init(folder: String) throws {
    store = try WeightStore(folder: folder, stem: "diffusion_pytorch_model")
    autoencoder = Autoencoder(
      configuration: try AutoencoderConfiguration(ConfigurationFile(path: "\(folder)/config.json")),
      weights: store.root)
  }

  /// TAEF2, whose first level normalizes over the whole image.
  private static func taef2() throws -> Self {
    let folder = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../FlowModelsTests/Fixtures/taef2").standardizedFileURL.path
    let parts = try AutoencoderParts.find(
      folder: "/nowhere", choice: .path(folder), variant: nil)
    return Self(
      autoencoder: Autoencoder(
        configuration: parts.configuration, weights: parts.weights.root), store: parts.weights)
  }

  private init(autoencoder: Autoencoder, store: WeightStore) {
    (self.autoencoder, self.store) = (autoencoder, store)
  }

  /// A tiny autoencoder four of whose latents are one latent pixel of the network.
  private static func patched(_ folder: String) throws -> Self {
    let copy = try TemporaryFolder()
    for name in ["config.json", "diffusion_pytorch_model.safetensors"] {
      try FileManager.default.copyItem(atPath: "\(folder)/\(name)", toPath: "\(copy.path)/\(name)")
    }
    let file = "\(copy.path)/config.json"
    try String(contentsOfFile: file, encoding: .utf8)
      .replacing("\"in_channels\"", with: "\"patch_size\": [2, 2],\n  \"in_channels\"")
      .write(toFile: file, atomically: true, encoding: .utf8)
    let suite = try Self(folder: copy.path)
    #expect(
      suite.autoencoder.configuration.factor == 8
        && suite.autoencoder.configuration.latentChannels == 16)
    return suite
  }

  private func session(_ graph: Graph) async throws -> Program {
    try await Program.shared(GraphModule(graph, weightsIdentity: store.identity))
  }

  /// Latents that differ between positions in brightness and in busyness, as images do.
  private func latents(height: Int, width: Int, seed: UInt64) -> Latents {
    var noise = GaussianNoise(seed: seed)
    let shape: Shape = [autoencoder.configuration.latentChannels, height, width]
    let drawn = noise.latents(shape: shape).scalars
    return Latents(
      shape: shape,
      scalars: drawn.indices.map { index in
        let (row, column) = (index / width % height, index % width)
        let brightness = Float(row) / Float(height) - Float(column) / Float(width)
        return 1.5 * brightness + (column > width / 2 ? 1.5 : 0.2) * drawn[index]
      })
  }

  private func run(_ program: Program, on latents: Latents) throws {
    program.write("latents", ContiguousArray(latents.scalars).span)
    try program.run()
  }

  private func tiled(height: Int, width: Int, side: Int) async throws -> TiledDecoder {
    let decoder = TiledDecoder(
      autoencoder, height: height, width: width, side: side, weightsIdentity: store.identity,
      provider: EngineProvider(.ofTests))
    try await decoder.prepare()
    return decoder
  }

  @Test(
    "Tiles join without a seam, whatever their size and the image's",
    arguments: [
      "vae-tiny", "vae-tiny16", "vae-full", "vae-full-plain", "starter", "patched", "taef2",
    ],
    [(6, 10, 16), (23, 9, 17), (11, 31, 33), (8, 8, 1000)])
  func seamless(name: String, size: (height: Int, width: Int, side: Int)) async throws {
    let starter = "\(try Checkpoint.starter64().folder)/vae"
    let suite =
      switch name {
      case "patched": try Self.patched(starter)
      case "taef2": try Self.taef2()
      default: try Self(folder: name == "starter" ? starter : Bundle.module.fixture(name))
      }
    let decoder = try await suite.tiled(height: size.height, width: size.width, side: size.side)
    let whole = try await suite.session(
      suite.autoencoder.decoderGraph(rows: 1, height: size.height, width: size.width))
    for seed in 0..<2 {
      let latents = suite.latents(height: size.height, width: size.width, seed: UInt64(seed))
      let image = try #require(try decoder.decode(latents))
      try suite.run(whole, on: latents)
      let expected = whole.floats("pixels")
      let factor = suite.autoencoder.configuration.factor
      #expect(image.width == size.width * factor && image.height == size.height * factor)
      #expect(Set(expected).count > 50)
      // Each side rounds to 8 bits what it has computed in its own order.
      expectClose(image.pixels.map(Float.init), expected, tolerance: 1)
    }
  }

  @Test("Latents that are NaN in one position make no image")
  func darkness() async throws {
    var scalars = latents(height: 9, width: 9, seed: 0).scalars
    scalars[40] = .nan
    let decoder = try await tiled(height: 9, width: 9, side: 16)
    #expect(try decoder.decode(Latents(shape: [4, 9, 9], scalars: scalars)) == nil)
  }

  @Test("Attention over many positions goes part by part, and comes to the same")
  func attention() async throws {
    guard case .full(let configuration) = autoencoder.configuration.kind else { return }
    let latents = latents(height: 7, width: 9, seed: 4)
    var results: [[Float]] = []
    for count in [1 << 24, 63 * 20] {
      var network = FullAutoencoder(configuration: configuration, weights: store.root)
      network.productCount = count
      let graph = Graph(name: "attention_\(count)")
      graph.output(
        try network.decode(graph.input("latents", shape: [1, 4, 7, 9]), levels: 1), as: "hidden")
      let session = try await session(graph)
      try run(session, on: latents)
      results.append(session.floats("hidden"))
    }
    // Each query is for itself: only the engine's order of sums may differ.
    expectClose(results[1], results[0], relativeTolerance: 1e-5)
  }

  @Test("Tiles have windows of equal length around parts that cover the axis")
  func tilings() {
    for (length, own, margin) in [(10, 3, 1), (7, 7, 2), (7, 9, 2), (64, 5, 11), (9, 4, 0)] {
      let tiling = Tiling(length: length, own: own, margin: margin)
      #expect(tiling.tiles.flatMap(\.own) == Array(0..<length))
      for tile in tiling.tiles {
        #expect(tile.window.count == tiling.windowLength)
        #expect(tile.window.lowerBound >= 0 && tile.window.upperBound <= length)
        #expect(tile.window.lowerBound <= max(tile.own.lowerBound - margin, 0))
        #expect(tile.window.upperBound >= min(tile.own.upperBound + margin, length))
      }
    }
    #expect(Tiling(length: 5, own: .max, margin: 0).tiles == [.init(own: 0..<5, window: 0..<5)])
  }

  @Test("By default large images are decoded in tiles, small ones whole")
  func choice() throws {
    let full = try Checkpoint(folder: PipelineTests.folder("sd")).autoencoder
    let tiny = try Checkpoint.starter64().autoencoder
    #expect(DecodeTiling.automatic.side(tiny, width: 1024, height: 1024) == nil)
    #expect(DecodeTiling.automatic.side(tiny, width: 2048, height: 2048) == 256)
    #expect(DecodeTiling.automatic.side(full, width: 64, height: 64) == nil)
    #expect(DecodeTiling.never.side(full, width: 8192, height: 8192) == nil)
    #expect(DecodeTiling.pixels(40).side(full, width: 64, height: 64) == 40)
    func memory(_ tiling: DecodeTiling) throws -> Int {
      try MemoryEstimate(
        .starter64(), rows: 1, width: 4096, height: 4096, tiling: tiling
      ).peakByteCount
    }
    #expect(try memory(.never) - memory(.automatic) > 10_000_000_000)
    var options = GeneratorOptions()
    options.decodeTiling = .pixels(15)
    let error = #expect(throws: ModelError.self) {
      try Generator(checkpoint: .starter64(), options: options, engines: .ofTests)
    }
    #expect(error?.message == "a tile is 16 pixels a side or more, got 15")
  }

  @Test("A generator's images are the same in tiles", arguments: ["sd", "sdxl"])
  func pictures(model: String) async throws {
    let checkpoint = try Checkpoint(folder: PipelineTests.folder(model))
    var requests = [GenerationRequest(prompt: "a fox"), GenerationRequest(prompt: "a castle")]
    requests[1].seed = 3
    var pictures: [[[Float]]] = []
    for tiling in [DecodeTiling.never, .pixels(19)] {
      var options = GeneratorOptions()
      options.decodeTiling = tiling
      let generator = try Generator(checkpoint: checkpoint, options: options, engines: .ofTests)
      let stream = try await generator.images(for: requests)
      let images = try await stream.reduce(into: []) { $0.append($1) }
      let sorted = images.sorted { $0.index < $1.index }
      pictures.append(sorted.map { $0.image.pixels.map(Float.init) })
      let names = await generator.statistics.engines.map(\.name)
      #expect(names.contains { $0.contains("vae_decoder_output") } == (tiling != .never))
    }
    #expect(pictures[0].count == 2)
    for (whole, tiled) in zip(pictures[0], pictures[1]) {
      expectClose(tiled, whole, tolerance: 1)
    }
  }
}
