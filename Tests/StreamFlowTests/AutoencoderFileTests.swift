import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels
@testable import StreamFlow

/// Autoencoders in files of their own, against diffusers' images (`Scripts/fixtures/singlefile.py`).
@Suite(.tags(.engine)) struct AutoencoderFileTests {
  private typealias Tensor = (name: String, shape: [Int], scalars: [Float])

  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private static let prefix = "first_stage_model."

  private static func tensors(_ family: String) throws -> [Tensor] {
    try SingleFileTests.list("\(family)-tiny").map {
      ($0.name, $0.shape, SingleFileTests.formula($0.name, $0.shape))
    }
  }

  /// The autoencoder of a tiny model without the prefix of its names.
  private static func original(_ family: String) throws -> [Tensor] {
    try tensors(family).filter { $0.name.hasPrefix(prefix) }
      .map { (String($0.name.dropFirst(prefix.count)), $0.shape, $0.scalars) }
  }

  private static func diffusers(_ family: String) throws -> [Tensor] {
    try original(family).map { tensor in
      let name = try #require(OriginalNames.autoencoder(tensor.name, levelCount: 2))
      let isLinear = name.contains(".attentions.")
      return (name, isLinear ? Array(tensor.shape.prefix(2)) : tensor.shape, tensor.scalars)
    }
  }

  private func write(_ tensors: [Tensor], as name: String) throws -> String {
    try folder.write(SafetensorsWriter.file(tensors), as: name)
  }

  private func parts(
    _ path: String, latents: PublishedAutoencoder = .taesd
  ) throws -> AutoencoderParts {
    try AutoencoderParts.find(
      folder: "/nowhere", choice: .path(path), variant: nil, latents: latents)
  }

  private static func pixels(
    _ parts: AutoencoderParts, _ sample: [Float]
  ) throws -> [Float] {
    let autoencoder = Autoencoder(configuration: parts.configuration, weights: parts.weights.root)
    let decoder = try SingleFileTests.session(
      autoencoder.decoderGraph(rows: 2, height: 6, width: 8), parts.weights)
    SingleFileTests.write(sample, to: decoder, input: 0)
    try decoder.run()
    return decoder.read(0, as: UInt8.self) { span in span.indices.map { Float(span[$0]) } }
  }

  @Test(
    "A file of any layout decodes to diffusers' image", arguments: ["sd1", "sdxl"],
    ["original", "prefixed", "diffusers", "whole model", "folder"])
  func layouts(family: String, layout: String) throws {
    let training: [Tensor] = [("model_ema.decay", [], [1]), ("loss.logvar", [], [0])]
    let path =
      switch layout {
      case "original":
        try write(Self.original(family) + training, as: "vae-ft-mse-840000-ema-pruned.safetensors")
      case "prefixed":
        try write(
          Self.tensors(family).filter { $0.name.hasPrefix(Self.prefix) }, as: "vae.safetensors")
      case "diffusers": try write(Self.diffusers(family), as: "any name.safetensors")
      case "whole model": try write(Self.tensors(family), as: "model.safetensors")
      default:
        URL(filePath: try write(Self.original(family), as: "sd-vae/one.safetensors"))
          .deletingLastPathComponent().path
      }
    let golden = try Golden("singlefiles/\(family)-golden.safetensors", in: .module)
    let pixels = try Self.pixels(
      parts(path, latents: family == "sdxl" ? .taesdxl : .taesd), try golden.floats("sample"))
    expectClose(pixels, try golden.floats("decoded"), tolerance: 1)
  }

  @Test("A configuration beside a file is read if it is the autoencoder's, else left alone")
  func configuration() throws {
    let path = try write(Self.diffusers("sd1"), as: "diffusion_pytorch_model.safetensors")
    let other = #"{"_class_name":"UNet2DConditionModel","scaling_factor":9}"#
    _ = try folder.write(Array(other.utf8), as: "config.json")
    func scale() throws -> Float? {
      if case .full(let full) = try parts(path).configuration.kind {
        full.scalingFactor
      } else {
        nil
      }
    }
    #expect(try scale() == 0.18215)
    let text = """
      {"_class_name": "AutoencoderKL", "block_out_channels": [32, 32], "scaling_factor": 0.5,
       "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D"],
       "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D"]}
      """
    _ = try folder.write([0xef, 0xbb, 0xbf] + Array(text.utf8), as: "config.json")
    #expect(try scale() == 0.5)
  }

  @Test("A tiny autoencoder in diffusers' names is recognized by its tensors and its configuration")
  func tiny() throws {
    let source = Bundle.module.fixture("vae-tiny")
    let path = "\(folder.path)/tiny.safetensors"
    try FileManager.default.copyItem(
      atPath: "\(source)/diffusion_pytorch_model.safetensors", toPath: path)
    let error = #expect(throws: ModelError.self) { try parts(path) }
    #expect(error?.message.contains("of another size than TAESD, and there is no config") == true)
    try FileManager.default.copyItem(
      atPath: "\(source)/config.json", toPath: "\(folder.path)/config.json")
    let found = try parts(path)
    let (configuration, weights) = (found.configuration, found.weights)
    #expect(try configuration == parts(source).configuration)
    #expect(weights.weights["encoder.layers.0.weight"] != nil)
  }

  @Test("A decoder of any file name is taken with the encoder beside it")
  func decoder() throws {
    func tensors(_ shift: Int, _ first: [Int]) -> [Tensor] {
      [
        ("\(shift).weight", first, [Float](repeating: 1, count: first.reduce(1, *))),
        ("\(shift + 2).conv.0.weight", [1], [1]), ("\(shift + 1).conv.0.weight", [1], [1]),
      ]
    }
    let path = try write(tensors(1, [64, 4, 3, 3]), as: "taesdxl-decoder.fp16.safetensors")
    _ = try write(tensors(0, [64, 3, 3, 3]), as: "taesdxl-encoder.fp16.safetensors")
    let found = try parts(path)
    let (configuration, weights) = (found.configuration, found.weights)
    #expect(configuration.published == .taesdxl && configuration.latentChannels == 4)
    #expect(weights.weights["encoder.layers.0.weight"] != nil)
    #expect(weights.weights["decoder.layers.0.weight"] != nil)
  }

  @Test("A file of a whole model that is pruned of its decoder is refused with what it holds")
  func halves() throws {
    let tensors = try Self.original("sd1").filter { !$0.name.hasPrefix("decoder.") }
    let path = try write(tensors, as: "half.safetensors")
    let error = #expect(throws: ModelError.self) { try parts(path) }
    #expect(error?.message.contains("holds the encoder of an autoencoder without its dec") == true)
  }
}
