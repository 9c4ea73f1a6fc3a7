import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels

/// FLUX.2's autoencoder against diffusers': whole, with a small decoder, without convolutions around
/// the latents.
@Suite(.tags(.engine)) struct Flux2AutoencoderTests {
  private static let names = ["vae-flux2", "vae-flux2-small", "vae-flux2-plain"]

  /// An autoencoder of three levels, whose latents are 1/4 of a side and patches of 2 x 2 of them.
  private static func autoencoder(_ name: String) throws -> (Autoencoder, WeightStore, Golden) {
    let folder = Bundle.module.fixture(name)
    let store = try WeightStore(folder: folder, stem: "diffusion_pytorch_model")
    let file = try ConfigurationFile(path: "\(folder)/config.json")
    let configuration = try AutoencoderConfiguration(file)
    #expect(configuration.factor == 8 && configuration.latentChannels == 16)
    #expect(configuration.className == "AutoencoderKLFlux2")
    return (
      Autoencoder(configuration: configuration, weights: store.root), store,
      try Golden("\(name)/golden.safetensors", in: .module)
    )
  }

  private static func program(_ graph: Graph, _ store: WeightStore) async throws -> Program {
    try await Program.shared(GraphModule(graph, weightsIdentity: store.identity))
  }

  @Test("Decoders give the pixels that diffusers gives, but for a rounding", arguments: names)
  func decoder(name: String) async throws {
    let (autoencoder, store, golden) = try Self.autoencoder(name)
    let program = try await Self.program(
      autoencoder.decoderGraph(rows: 2, height: 3, width: 5), store)
    program.write("latents", ContiguousArray(try golden.floats("latents")).span)
    try program.run()
    let pixels = program.read("pixels", as: UInt8.self) { span in
      span.indices.map { Float(span[$0]) }
    }
    let expected = try golden.floats("decoded")
    #expect(Set(expected).count > 100)  // an image, not black and white
    expectClose(pixels, expected, tolerance: 1)
    // A rounding here and there, not everywhere.
    #expect(zip(pixels, expected).count { $0 != $1 } < expected.count / 1000)
  }

  @Test("Encoders take 8-bit images and give diffusers' latents", arguments: names)
  func encoder(name: String) async throws {
    let (autoencoder, store, golden) = try Self.autoencoder(name)
    let program = try await Self.program(
      autoencoder.encoderGraph(rows: 1, height: 3, width: 5), store)
    let pixels = try golden.floats("pixels").map { UInt8($0) }
    program.write("pixels", ContiguousArray(pixels).span)
    try program.run()
    for (output, key) in [("latents", "encoded"), ("deviation", "deviation")] {
      let values = program.read(PortName(output), as: Float.self) { span in
        span.indices.map { span[$0] }
      }
      expectClose(values, try golden.floats(key), relativeTolerance: 1e-4)
    }
  }

  @Test("All weights are read, and the decoder's stages are the decoder", arguments: names)
  func weights(name: String) throws {
    let (autoencoder, store, _) = try Self.autoencoder(name)
    func names(_ graphs: [Graph]) -> Set<String> {
      Set(graphs.flatMap { GraphModule($0, weightsIdentity: []).weights.map(\.name) })
    }
    let decoder = names([try autoencoder.decoderGraph(rows: 1, height: 3, width: 5)])
    let encoder = names([try autoencoder.encoderGraph(rows: 1, height: 3, width: 5)])
    #expect(
      decoder.union(encoder)
        == Set(store.weights.keys).subtracting(["bn.num_batches_tracked"]))
    let stages = autoencoder.decoderStages
    #expect(stages.reduce(1) { $0 * $1.enlargement } == autoencoder.configuration.factor)
    #expect(names(try stages.map { try $0.graph(height: 6, width: 10) }) == decoder)
  }

  /// Expects a configuration that was read from tensors to be the stated one.
  private static func expectSame(
    _ read: AutoencoderConfiguration, _ stated: AutoencoderConfiguration
  ) throws {
    guard case .full(let read) = read.kind, case .full(let stated) = stated.kind else {
      throw ModelError(code: .fileInvalid, message: "not a full autoencoder")
    }
    #expect(read.className == "AutoencoderKLFlux2")
    #expect(read.channels == stated.channels && read.decoderChannels == stated.decoderChannels)
    #expect(read.latentChannels == stated.latentChannels && read.patchSide == stated.patchSide)
    #expect(read.layerCount == stated.layerCount)
    #expect(read.attendsInMiddle == stated.attendsInMiddle)
  }

  @Test("A file without its configuration is known by its tensors", arguments: names)
  func file(name: String) throws {
    let (autoencoder, _, _) = try Self.autoencoder(name)
    let folder = try TemporaryFolder()
    let path = "\(folder.path)/small.safetensors"
    try FileManager.default.copyItem(
      atPath: Bundle.module.fixture("\(name)/diffusion_pytorch_model.safetensors"), toPath: path)
    let parts = try AutoencoderFile(path: path).parts(latents: nil)
    try Self.expectSame(parts.configuration, autoencoder.configuration)
  }

  @Test("A file in the original names has the weights and the configuration of diffusers' folder")
  func originalNames() throws {
    let (autoencoder, store, _) = try Self.autoencoder("vae-flux2")
    let parts = try AutoencoderFile(path: Bundle.module.fixture("vae-flux2/original.safetensors"))
      .parts(latents: nil)
    #expect(Set(parts.weights.weights.keys) == Set(store.weights.keys))
    for (name, weight) in store.weights where !name.hasSuffix("num_batches_tracked") {
      let read = try #require(parts.weights.weights[name])
      #expect(read.shape == weight.shape, "\(name)")
      #expect(try read.floats() == weight.floats(), "\(name)")
    }
    try Self.expectSame(parts.configuration, autoencoder.configuration)
  }

  @Test(
    "What is not known is refused with key, value and what is expected",
    arguments: [
      ("patch_size", .list([.integer(2), .integer(1)]), "the same"),
      ("scaling_factor", .number(0.36), "null"),
      ("decoder_block_out_channels", .list([.integer(64)]), "4 numbers"),
    ] as [(String, ConfigurationFile.Value, String)])
  func refusals(key: String, value: ConfigurationFile.Value, expected: String) {
    let error = #expect(throws: ModelError.self) {
      try FullAutoencoderConfiguration(
        ConfigurationFile(
          path: "config.json",
          values: ["_class_name": .text("AutoencoderKLFlux2"), key: value]))
    }
    #expect(error?.message.contains("\(key) = \(value.words)") == true)
    #expect(error?.message.contains(expected) == true)
  }
}
