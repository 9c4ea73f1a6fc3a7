import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels

/// The networks of Stable Diffusion by ONNX Runtime, against diffusers and transformers.
///
/// The golden files are those of the whole package's tests; 1e-4 of the 2-norm is the tolerance.
@Suite(.tags(.engine), .enabled(if: TestBackend.onnxRuntime.isThere, "ONNX Runtime is not set up"))
struct ComponentTests {
  private static let fixtures = URL(filePath: #filePath)
    .deletingLastPathComponent().appending(path: "../StreamFlowTests/Fixtures").standardizedFileURL
    .path

  private static func configuration(_ name: String) throws -> ConfigurationFile {
    try ConfigurationFile(path: "\(fixtures)/\(name)/config.json")
  }

  private static func store(_ name: String, _ stem: String) throws -> WeightStore {
    try WeightStore(folder: "\(fixtures)/\(name)", stem: stem)
  }

  private static func golden(_ name: String) throws -> Golden {
    try Golden("\(fixtures)/\(name)/golden.safetensors")
  }

  private static func program(_ graph: Graph, _ store: WeightStore) throws -> Program {
    try .compiled(GraphModule(graph, weightsIdentity: store.identity), on: .onnxRuntime)
  }

  private static func write(_ scalars: [Float], to program: Program, input: Int) {
    program.withInput(input, as: Float.self) {
      for index in $0.indices { $0[index] = scalars[index] }
    }
  }

  private static func floats(_ program: Program, output: Int) -> [Float] {
    program.read(output, as: Float.self) { span in span.indices.map { span[$0] } }
  }

  @Test(
    "UNets of every block kind and option",
    arguments: [
      "unet-sd15", "unet-sd21", "unet-starter", "unet-sdxl", "unet-lcm", "unet-sdxs",
    ])
  func unet(name: String) throws {
    let store = try Self.store(name, "diffusion_pytorch_model")
    let network = UNet(
      configuration: try UNetConfiguration(Self.configuration(name)), weights: store.root)
    let golden = try Self.golden(name)
    for index in 0..<golden.names.count(where: { $0.hasSuffix(".output") }) {
      let shape = try golden.shape("\(index).sample")
      let tokens = try golden.shape("\(index).conditioning")[1]
      let graph = try network.graph(
        .init(rows: shape[0], height: shape[2], width: shape[3], tokens: tokens))
      let program = try Self.program(graph, store)
      Self.write(try golden.floats("\(index).sample"), to: program, input: 0)
      Self.write(try golden.floats("\(index).timestep"), to: program, input: 1)
      let others = ["conditioning", "pooled", "sizes", "guidance"].map { "\(index).\($0)" }
      for (input, key) in others.filter({ golden.names.contains($0) }).enumerated() {
        Self.write(try golden.floats(key), to: program, input: 2 + input)
      }
      try program.run()
      expectClose(
        Self.floats(program, output: 0), try golden.floats("\(index).output"),
        relativeTolerance: 1e-4)
    }
  }

  @Test("Text encoders of either activation", arguments: ["quick_gelu", "gelu"])
  func text(activation: String) throws {
    let name = "text-\(activation)"
    let store = try Self.store(name, "model").withoutTextModelPrefix()
    let encoder = CLIPText(
      configuration: try CLIPTextConfiguration(Self.configuration(name), weights: store),
      weights: store.root)
    let golden = try Self.golden(name)
    for (state, key) in [(CLIPText.HiddenState.last, "hidden"), (.penultimate, "penultimate")] {
      let program = try Self.program(
        encoder.graph(rows: 2, state: state, skippedLayers: 0), store)
      for (input, key) in ["tokens", "end"].enumerated() {
        let numbers = try golden.floats(key)
        program.withInput(input, as: Int64.self) {
          for index in $0.indices { $0[index] = Int64(numbers[index]) }
        }
      }
      try program.run()
      expectClose(
        Self.floats(program, output: 0), try golden.floats(key), relativeTolerance: 1e-4)
      expectClose(
        Self.floats(program, output: 1), try golden.floats("pooled"), relativeTolerance: 1e-4)
    }
  }

  @Test(
    "Autoencoders, tiny and full, both ways",
    arguments: ["vae-tiny", "vae-tiny16", "vae-full", "vae-full-plain"])
  func autoencoder(name: String) throws {
    let store = try Self.store(name, "diffusion_pytorch_model")
    let autoencoder = Autoencoder(
      configuration: try AutoencoderConfiguration(Self.configuration(name)), weights: store.root)
    let golden = try Self.golden(name)

    let decoder = try Self.program(autoencoder.decoderGraph(rows: 2, height: 6, width: 10), store)
    Self.write(try golden.floats("latents"), to: decoder, input: 0)
    try decoder.run()
    let decoded = decoder.read(0, as: UInt8.self) { span in
      span.indices.map { Float(span[$0]) }
    }
    // But for a rounding to 8 bits.
    expectClose(decoded, try golden.floats("decoded"), tolerance: 1)

    let encoder = try Self.program(autoencoder.encoderGraph(rows: 1, height: 6, width: 10), store)
    let pixels = try golden.floats("pixels")
    encoder.withInput(0, as: UInt8.self) {
      for index in $0.indices { $0[index] = UInt8(pixels[index]) }
    }
    try encoder.run()
    expectClose(
      Self.floats(encoder, output: 0), try golden.floats("encoded"), relativeTolerance: 1e-4)
    guard golden.names.contains("deviation") else { return }
    expectClose(
      Self.floats(encoder, output: 1), try golden.floats("deviation"), relativeTolerance: 1e-4)
  }
}
