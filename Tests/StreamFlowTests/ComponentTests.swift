import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels
@testable import StreamFlow

/// Each architecture against diffusers and transformers, on tiny seeded models.
///
/// Both sides compute in float32 and sum in different orders; 1e-4 of the 2-norm is what is asked
/// for, and what is seen is about 1e-6.
@Suite(.tags(.engine)) struct ComponentTests {
  private static func configuration(_ name: String) throws -> ConfigurationFile {
    try ConfigurationFile(path: Bundle.module.fixture("\(name)/config.json"))
  }

  private static func session(_ graph: Graph, _ store: WeightStore) async throws -> Program {
    try await Program.shared(GraphModule(graph, weightsIdentity: store.identity))
  }

  private static func write(_ scalars: [Float], to session: Program, input: Int) {
    session.withInput(input, as: Float.self) {
      for index in $0.indices { $0[index] = scalars[index] }
    }
  }

  private static func floats(_ session: Program, output: Int) -> [Float] {
    session.read(output, as: Float.self) { span in span.indices.map { span[$0] } }
  }

  @Test(
    "UNets of every block kind and option, odd sizes too",
    arguments: [
      "unet-sd15", "unet-sd21", "unet-starter", "unet-sdxl", "unet-lcm", "unet-sdxs",
    ])
  func unet(name: String) async throws {
    let golden = try Golden("\(name)/golden.safetensors", in: .module)
    try await checkUNet(name, golden, outputs: golden)
  }

  @Test(
    "Keys and values of the largest self-attention at fewer positions, odd sizes too",
    arguments: ["unet-sd15", "unet-sdxl", "unet-starter", "unet-sdxs"], [2, 3])
  func keyDownsampling(name: String, factor: Int) async throws {
    let outputs = try Golden("\(name)/downsampled.safetensors", in: .module)
    try await checkUNet(
      name, Golden("\(name)/golden.safetensors", in: .module), outputs: outputs,
      keyDownsampling: factor)
  }

  private func checkUNet(
    _ name: String, _ golden: Golden, outputs: Golden, keyDownsampling: Int = 1
  ) async throws {
    let store = try WeightStore(
      folder: Bundle.module.fixture(name), stem: "diffusion_pytorch_model")
    var configuration = try UNetConfiguration(Self.configuration(name))
    configuration.keyDownsampling = keyDownsampling
    let network = UNet(configuration: configuration, weights: store.root)
    let suffix = keyDownsampling > 1 ? "\(keyDownsampling)" : ""
    for index in 0..<golden.names.count(where: { $0.hasSuffix(".output") }) {
      let shape = try golden.shape("\(index).sample")
      let tokens = try golden.shape("\(index).conditioning")[1]
      let graph = try network.graph(
        .init(rows: shape[0], height: shape[2], width: shape[3], tokens: tokens))
      let session = try await Self.session(graph, store)
      Self.write(try golden.floats("\(index).sample"), to: session, input: 0)
      Self.write(try golden.floats("\(index).timestep"), to: session, input: 1)
      let others = ["conditioning", "pooled", "sizes", "guidance"].map { "\(index).\($0)" }
      for (input, key) in others.filter({ golden.names.contains($0) }).enumerated() {
        Self.write(try golden.floats(key), to: session, input: 2 + input)
      }
      try session.run()
      expectClose(
        Self.floats(session, output: 0), try outputs.floats("\(index).output\(suffix)"),
        relativeTolerance: 1e-4)
    }
  }

  @Test(
    "Text encoders of either activation, hidden states, pooled output, clip skip, either naming",
    arguments: ["quick_gelu", "gelu"], [true, false])
  func text(activation: String, isPrefixed: Bool) async throws {
    let name = "text-\(activation)"
    let stored = try WeightStore(folder: Bundle.module.fixture(name), stem: "model")
    let bare = stored.withoutTextModelPrefix()
    let store =
      (isPrefixed ? bare.renamed { "text_model." + $0 } : bare).withoutTextModelPrefix()
    let encoder = CLIPText(
      configuration: try CLIPTextConfiguration(Self.configuration(name), weights: store),
      weights: store.root)
    let golden = try Golden("\(name)/golden.safetensors", in: .module)
    let states: [(CLIPText.HiddenState, Int, String)] = [
      (.last, 0, "hidden"), (.last, 1, "skip1"), (.penultimate, 0, "penultimate"),
      (.penultimate, 1, "penultimate1"),
    ]
    for (state, skip, key) in states {
      let graph = try encoder.graph(rows: 2, state: state, skippedLayers: skip)
      let session = try await Self.session(graph, store)
      for (input, key) in ["tokens", "end"].enumerated() {
        let numbers = try golden.floats(key)
        session.withInput(input, as: Int64.self) {
          for index in $0.indices { $0[index] = Int64(numbers[index]) }
        }
      }
      try session.run()
      expectClose(
        Self.floats(session, output: 0), try golden.floats(key), relativeTolerance: 1e-4)
      expectClose(
        Self.floats(session, output: 1), try golden.floats("pooled"), relativeTolerance: 1e-4)
    }
  }

  private static func autoencoder(_ name: String) throws -> (Autoencoder, WeightStore) {
    let store = try WeightStore(
      folder: Bundle.module.fixture(name), stem: "diffusion_pytorch_model")
    let configuration = try AutoencoderConfiguration(Self.configuration(name))
    return (Autoencoder(configuration: configuration, weights: store.root), store)
  }

  private static let autoencoders = ["vae-tiny", "vae-tiny16", "vae-full", "vae-full-plain"]

  @Test(
    "Decoders give the pixels that diffusers gives, but for a rounding", arguments: autoencoders)
  func decoder(name: String) async throws {
    let (autoencoder, store) = try Self.autoencoder(name)
    let golden = try Golden("\(name)/golden.safetensors", in: .module)
    let session = try await Self.session(
      autoencoder.decoderGraph(rows: 2, height: 6, width: 10), store)
    Self.write(try golden.floats("latents"), to: session, input: 0)
    try session.run()
    let pixels = session.read(0, as: UInt8.self) { span in
      span.indices.map { Float(span[$0]) }
    }
    let expected = try golden.floats("decoded")
    #expect(Set(expected).count > 100)  // an image, not black and white
    expectClose(pixels, expected, tolerance: 1)
  }

  @Test("Encoders take 8-bit images and give diffusers' latents", arguments: autoencoders)
  func encoder(name: String) async throws {
    let (autoencoder, store) = try Self.autoencoder(name)
    let golden = try Golden("\(name)/golden.safetensors", in: .module)
    let graph = try autoencoder.encoderGraph(rows: 1, height: 6, width: 10)
    let session = try await Self.session(graph, store)
    let pixels = try golden.floats("pixels")
    session.withInput(0, as: UInt8.self) {
      for index in $0.indices { $0[index] = UInt8(pixels[index]) }
    }
    try session.run()
    expectClose(
      Self.floats(session, output: 0), try golden.floats("encoded"), relativeTolerance: 1e-4)
    guard golden.names.contains("deviation") else { return }
    expectClose(
      Self.floats(session, output: 1), try golden.floats("deviation"), relativeTolerance: 1e-4)
    var noise = GaussianNoise(seed: 9)
    let shape = Shape(try golden.shape("encoded")).dimensions.dropFirst()
    let distribution = LatentDistribution(
      mean: Latents(shape: Shape(Array(shape)), scalars: Self.floats(session, output: 0)),
      deviation: Latents(shape: Shape(Array(shape)), scalars: Self.floats(session, output: 1)))
    expectClose(
      distribution.sample(&noise).scalars,
      try Golden("\(name)/sample.safetensors", in: .module).floats("sample"),
      relativeTolerance: 1e-4)
  }

  @Test("The attention names of 2022 are read as today's")
  func oldNames() throws {
    let (_, store) = try Self.autoencoder("vae-full")
    let old = ["to_q": "query", "to_k": "key", "to_v": "value"]
    let aged = store.renamed { name in
      name.replacingOccurrences(of: "to_out.0", with: "proj_attn")
        .split(separator: ".").map { old[String($0)] ?? String($0) }.joined(separator: ".")
    }
    #expect(aged.weights.keys.contains("decoder.mid_block.attentions.0.proj_attn.weight"))
    #expect(Set(aged.withCurrentAttentionNames().weights.keys) == Set(store.weights.keys))
  }
}
