import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels

/// TAEF2, FLUX.2's tiny autoencoder, against its author's module: it normalizes over the whole image
/// at the size of the latents.
@Suite(.tags(.engine)) struct TAEF2Tests {
  private static let folder = Bundle.module.fixture("taef2")
  private static let file = "\(folder)/taef2_decoder.safetensors"

  private static func parts(_ path: String = folder) throws -> AutoencoderParts {
    try AutoencoderParts.find(folder: "/nowhere", choice: .path(path), variant: nil)
  }

  private static func autoencoder(_ parts: AutoencoderParts) -> Autoencoder {
    Autoencoder(configuration: parts.configuration, weights: parts.weights.root)
  }

  private static func program(_ graph: Graph, _ parts: AutoencoderParts) async throws -> Program {
    try await Program.shared(GraphModule(graph, weightsIdentity: parts.weights.identity))
  }

  /// The whole autoencoder in one file with diffusers' names, as `taef2.safetensors` is published.
  private static func published(in folder: TemporaryFolder) throws -> String {
    var tensors: [(name: String, shape: [Int], scalars: [Float])] = []
    for (name, weight) in try parts().weights.weights {
      tensors.append((name, weight.shape.dimensions, try weight.floats()))
    }
    return try folder.write(SafetensorsWriter.file(tensors), as: "taef2.safetensors")
  }

  @Test("The author's files decode and encode as his module, in patches of the network's latents")
  func same() async throws {
    let parts = try Self.parts()
    #expect(parts.configuration.published == .taef2)
    #expect(parts.configuration.factor == 16 && parts.configuration.latentChannels == 128)
    let golden = try Golden("taef2/golden.safetensors", in: .module)
    let decoder = try await Self.program(
      Self.autoencoder(parts).decoderGraph(rows: 1, height: 3, width: 2), parts)
    decoder.write("latents", ContiguousArray(try golden.floats("latents")).span)
    try decoder.run()
    let pixels = decoder.read("pixels", as: UInt8.self) { span in
      span.indices.map { Float(span[$0]) }
    }
    let expected = try golden.floats("decoded")
    #expect(Set(expected).count > 100)
    expectClose(pixels, expected, tolerance: 1)
    let encoder = try await Self.program(
      Self.autoencoder(parts).encoderGraph(rows: 1, height: 3, width: 2), parts)
    encoder.write("pixels", ContiguousArray(try golden.floats("pixels").map { UInt8($0) }).span)
    try encoder.run()
    let latents = encoder.read("latents", as: Float.self) { span in span.indices.map { span[$0] } }
    expectClose(latents, try golden.floats("encoded"), relativeTolerance: 1e-4)
  }

  @Test("One file with the names of both halves is the same autoencoder")
  func whole() throws {
    let folder = try TemporaryFolder()
    let whole = try Self.parts(try Self.published(in: folder))
    let halves = try Self.parts(Self.file)
    #expect(whole.configuration == halves.configuration)
    #expect(Set(whole.weights.weights.keys) == Set(halves.weights.weights.keys))
    #expect(halves.weights.weights.keys.contains("decoder.layers.2.pool.1.bias"))
  }

  @Test("The stage that normalizes has no tiles, and there are no stages of parts of an image")
  func stages() throws {
    let autoencoder = Self.autoencoder(try Self.parts())
    #expect(autoencoder.decoderStages.map { $0.margin == nil } == [true, false, false, false])
    #expect(autoencoder.decoderStages.reduce(1) { $0 * $1.enlargement } == 16)
    #expect(autoencoder.localDecoderStages == nil)
  }

  @Test("A decoder of 32 channels without its normalizations, such as Sana's, is rejected")
  func sana() throws {
    let folder = try TemporaryFolder()
    let file = SafetensorsWriter.file([
      ("1.weight", [2, 32, 1, 1], [Float](repeating: 1, count: 64)),
      ("3.conv.0.weight", [1], [1]),
    ])
    let path = try folder.write(file, as: "taesana_decoder.safetensors")
    let error = #expect(throws: ModelError.self) { try Self.parts(path) }
    #expect(error?.code == .unsupported)
    #expect(error?.message.contains("has 32 latent channels and is not taef2") == true)
  }

  @Test("It is for FLUX.2 alone, whose channels others do not have")
  func pairing() throws {
    let klein = try Checkpoint(folder: Bundle.module.fixture("pipelines/flux2"))
    #expect(klein.family.latentSpace.published == .taef2)
    let error = #expect(throws: ModelError.self) {
      try Checkpoint(
        folder: Bundle.module.fixture("pipelines/zimage"), autoencoder: .path(Self.file))
    }
    #expect(error?.message.contains("has 128 latent channels, the network 16") == true)
    #expect(error?.message.contains("taef2 with FLUX.2") == true)
  }
}
