import FlowCore
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels
@testable import StreamFlow

/// Which autoencoder `--vae` finds, and which pairs are refused.
@Suite struct AutoencoderChoiceTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// The fixture's two halves as TAESD's author numbers and names them.
  private func writeFiles(of fixture: String, as name: String) throws -> WeightStore {
    let store = try WeightStore(
      folder: Bundle.module.fixture(fixture), stem: "diffusion_pytorch_model")
    var halves: [String: [(name: String, shape: [Int], scalars: [Float])]] = [:]
    for (name, weight) in store.weights {
      let parts = name.split(separator: ".", maxSplits: 3).map(String.init)
      let shift = parts[0] == "decoder" ? 1 : 0
      let index = try #require(Int(parts[2]))
      halves[parts[0], default: []].append(
        ("\(index + shift).\(parts[3])", weight.shape.dimensions, try weight.floats()))
    }
    for (half, tensors) in halves {
      _ = try folder.write(SafetensorsWriter.file(tensors), as: "\(name)_\(half).safetensors")
    }
    return store
  }

  private func parts(_ path: String) throws -> AutoencoderParts {
    try AutoencoderParts.find(folder: "/nowhere", choice: .path(path), variant: nil)
  }

  @Test(
    "TAESD's own files number their layers otherwise, and mean the same",
    arguments: [
      ("vae-tiny", PublishedAutoencoder.taesd, 4), ("vae-tiny", .taesdxl, 4),
      ("vae-tiny16", .taesd3, 16), ("vae-tiny16", .taef1, 16),
    ])
  func publishedFiles(fixture: String, name: PublishedAutoencoder, channels: Int) throws {
    let store = try writeFiles(of: fixture, as: name.rawValue)
    for path in [folder.path, "\(folder.path)/\(name.rawValue)_decoder.safetensors"] {
      let found = try parts(path)
      let (configuration, weights) = (found.configuration, found.weights)
      #expect(configuration.latentChannels == channels && configuration.published == name)
      #expect(Set(weights.weights.keys) == Set(store.weights.keys))
      for (name, weight) in store.weights {
        #expect(try weights.weights[name]?.floats() == weight.floats())
      }
    }
    let encoder = "\(folder.path)/\(name.rawValue)_encoder.safetensors"
    try FileManager.default.removeItem(atPath: encoder)
    let alone = try parts(folder.path).weights
    #expect(alone.weights.keys.allSatisfy { $0.hasPrefix("decoder.") })
  }

  @Test("A folder of diffusers is taken as it is; its name tells a published one")
  func folders() throws {
    #expect(try parts(Bundle.module.fixture("vae-full")).configuration.published == nil)
    let place = "\(folder.path)/taesdxl"
    try FileManager.default.copyItem(atPath: Bundle.module.fixture("vae-tiny"), toPath: place)
    #expect(try parts("\(place)/").configuration.published == .taesdxl)
  }

  @Test("A file without an autoencoder is reported with what is expected")
  func absent() throws {
    func message(_ path: String) -> String? {
      #expect(throws: (any Error).self) { try parts(path) }.map { "\($0)" }
    }
    #expect(
      message("/nowhere")?.hasPrefix("'/nowhere' does not exist; expected a folder in") == true)
    #expect(message(folder.path)?.contains("holds no autoencoder") == true)
    let other = try folder.write([1], as: "lone/vae.safetensors")
    #expect(message(other)?.contains("is 1 bytes long, less than the 8") == true)
    let pickle = try folder.write(Array("PK\u{3}\u{4}data.pkl".utf8), as: "lone/vae.pt")
    #expect(message(pickle)?.contains("is a PyTorch checkpoint (pickle)") == true)
    let text = SafetensorsWriter.file([("text_model.a.weight", [1], [1])])
    let strange = try folder.write(text, as: "lone/text.safetensors")
    #expect(
      message(strange)?.contains(
        "holds no autoencoder (1 tensors, such as 'text_model.a.weight'); expected an") == true)
    let half = SafetensorsWriter.file([
      ("0.weight", [1, 3, 1, 1], [1, 1, 1]), ("1.conv.0.weight", [1], [1]),
    ])
    let encoder = try folder.write(half, as: "lone/tiny.safetensors")
    #expect(message(encoder)?.contains("is the encoder of a tiny autoencoder; name its") == true)
    _ = try writeFiles(of: "vae-tiny", as: "taesd")
    _ = try writeFiles(of: "vae-tiny", as: "taesdxl")
    #expect(message(folder.path)?.contains("holds 2 decoders, name the file of one") == true)
    let odd = SafetensorsWriter.file([
      ("1.weight", [2, 5, 1, 1], [Float](repeating: 1, count: 10)), ("3.conv.0.weight", [1], [1]),
    ])
    let file = try folder.write(odd, as: "odd/taef1_decoder.safetensors")
    #expect(message(file)?.contains("1.weight is [2, 5, 1, 1]; the first convolution") == true)
  }

  @Test(
    "An autoencoder of another family is refused, and the one that fits is named",
    arguments: [
      (
        "sd", "taesdxl",
        "'taesdxl' is for Stable Diffusion XL and DreamLite, and this network is of Stable "
      ),
      ("sdxl", "taesd", "is of Stable Diffusion XL and DreamLite; use 'taesdxl'"),
      ("sd", "taef1", "has 16 latent channels, the network 4; they are of different families"),
      ("sd", "0.13025", "with scaling_factor 0.13025 is for Stable Diffusion XL"),
      ("sdxl", "0.18215", "scaling_factor 0.18215 is for Stable Diffusion 1 and 2"),
    ])
  func pairing(model: String, autoencoder: String, expected: String) throws {
    var path = "\(folder.path)/\(autoencoder)"
    if autoencoder.hasPrefix("0") {
      try FileManager.default.copyItem(
        atPath: "\(PipelineTests.folder(model))/vae", toPath: path)
      let file = "\(path)/config.json"
      let text = try String(contentsOfFile: file, encoding: .utf8)
      let scale = try #require(text.firstMatch(of: /"scaling_factor": [0-9.]+/))
      try text.replacing(scale.0, with: "\"scaling_factor\": \(autoencoder)").write(
        toFile: file, atomically: true, encoding: .utf8)
    } else {
      _ = try writeFiles(of: autoencoder == "taef1" ? "vae-tiny16" : "vae-tiny", as: autoencoder)
      path += "_decoder.safetensors"
    }
    let error = #expect(throws: ModelError.self) {
      try Checkpoint(folder: PipelineTests.folder(model), autoencoder: .path(path))
    }
    #expect(error?.code == .unsupported)
    #expect(error?.message.contains(expected) == true, "\(error?.message ?? "")")
    #expect(error?.message.contains("choose another autoencoder (taesd with Stable") == true)
  }

  @Test("An autoencoder of the family is taken", arguments: [("sd", "taesd"), ("sdxl", "taesdxl")])
  func fitting(model: String, name: String) throws {
    _ = try writeFiles(of: "vae-tiny", as: name)
    let checkpoint = try Checkpoint(
      folder: PipelineTests.folder(model), autoencoder: .path(folder.path))
    #expect(checkpoint.autoencoder.className == "AutoencoderTiny")
  }
}
