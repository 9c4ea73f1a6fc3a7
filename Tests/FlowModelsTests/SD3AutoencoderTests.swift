import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels

/// The autoencoder of Stable Diffusion 3 against diffusers': 16 channels, scaled and shifted, without
/// the convolutions around the latents.
@Suite(.tags(.engine)) struct SD3AutoencoderTests {
  private static let folder = Bundle.module.fixture("pipelines/sd3")

  private static func parts() throws -> AutoencoderParts {
    try AutoencoderParts.find(folder: folder, choice: .automatic, variant: nil)
  }

  private static func program(_ graph: Graph, _ parts: AutoencoderParts) async throws -> Program {
    try await Program.shared(GraphModule(graph, weightsIdentity: parts.weights.identity))
  }

  private static func autoencoder(_ parts: AutoencoderParts) -> Autoencoder {
    Autoencoder(configuration: parts.configuration, weights: parts.weights.root)
  }

  @Test("Latents decode to the pixels that diffusers gives, but for a rounding")
  func decoder() async throws {
    let parts = try Self.parts()
    let golden = try Golden("pipelines/sd3.safetensors", in: .module)
    let program = try await Self.program(
      Self.autoencoder(parts).decoderGraph(rows: 2, height: 6, width: 10), parts)
    program.write("latents", ContiguousArray(try golden.floats("vae.latents")).span)
    try program.run()
    let pixels = program.read("pixels", as: UInt8.self) { span in
      span.indices.map { Float(span[$0]) }
    }
    let expected = try golden.floats("vae.decoded")
    #expect(Set(expected).count > 100)  // an image, not black and white
    expectClose(pixels, expected, tolerance: 1)
  }

  @Test("Pixels encode to diffusers' latents and their spread")
  func encoder() async throws {
    let parts = try Self.parts()
    let golden = try Golden("pipelines/sd3.safetensors", in: .module)
    let program = try await Self.program(
      Self.autoencoder(parts).encoderGraph(rows: 1, height: 6, width: 10), parts)
    let pixels = try golden.floats("vae.pixels")
    program.withInput("pixels", as: UInt8.self) { span in
      for index in span.indices { span[index] = UInt8(pixels[index]) }
    }
    try program.run()
    for (output, key) in [("latents", "vae.encoded"), ("deviation", "vae.deviation")] {
      let floats = program.read(PortName(output), as: Float.self) { span in
        span.indices.map { span[$0] }
      }
      expectClose(floats, try golden.floats(key), relativeTolerance: 1e-5)
    }
  }

  @Test(
    "A file that does not say how it scales latents is read as the network's family does",
    arguments: [
      (PublishedAutoencoder.taesd3, Float(1.5305), Float(0.0609)), (.taef1, 0.3611, 0.1159),
      (.taesd, 0.18215, 0), (.taesdxl, 0.13025, 0),
    ])
  func scale(latents: PublishedAutoencoder, scaling: Float, shift: Float) throws {
    let temporary = try TemporaryFolder()
    let file = "\(temporary.path)/vae.safetensors"
    try FileManager.default.copyItem(
      atPath: "\(Self.folder)/vae/diffusion_pytorch_model.safetensors", toPath: file)
    let parts = try AutoencoderParts.find(
      folder: "/nowhere", choice: .path(file), variant: nil, latents: latents)
    guard case .full(let configuration) = parts.configuration.kind else {
      Issue.record("\(parts.configuration.className)")
      return
    }
    #expect(configuration.scalingFactor == scaling && configuration.shiftFactor == shift)
    #expect(configuration.latentChannels == 16)
  }
}
