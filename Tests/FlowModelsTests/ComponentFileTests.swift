import FlowCore
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels

/// Weights of components in files of their own.
@Suite struct ComponentFileTests {
  private typealias Tensor = (name: String, shape: [Int], scalars: [Float])

  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// A model's folder without the weights of a component, which are in a file of their own.
  private func split(
    _ model: String, _ component: String, named rename: (String) -> String = { $0 }
  ) throws -> (model: String, file: String) {
    let copy = "\(folder.path)/\(model)"
    if !FileManager.default.fileExists(atPath: copy) {
      try FileManager.default.copyItem(
        atPath: Bundle.module.fixture("pipelines/\(model)"), toPath: copy)
    }
    let stem = component == "transformer" ? "diffusion_pytorch_model" : "model"
    let store = try WeightStore(folder: "\(copy)/\(component)", stem: stem, variant: nil)
    try FileManager.default.removeItem(atPath: "\(copy)/\(component)/\(stem).safetensors")
    let tensors = try store.weights.values.sorted { $0.name < $1.name }.map { weight in
      (rename(weight.name), weight.shape.dimensions, try weight.floats())
    }
    return (
      copy,
      try folder.write(SafetensorsWriter.file(tensors), as: "\(model)-\(component).safetensors")
    )
  }

  @Test(
    "Transformers and text encoders of other files replace those that a folder lacks",
    arguments: [
      ("flux", ["text_encoder", "text_encoder_2"]),
      ("sd3", ["text_encoder", "text_encoder_2", "text_encoder_3"]), ("flux2", ["text_encoder"]),
      ("zimage", ["text_encoder"]),
    ])
  func files(model: String, encoders: [String]) throws {
    let whole = try Checkpoint(folder: Bundle.module.fixture("pipelines/\(model)"))
    var files = ComponentFiles()
    files.network = try split(model, "transformer").file
    files.textEncoders = try encoders.map { try split(model, $0).file }
    let copy = "\(folder.path)/\(model)"
    #expect(throws: ModelError.self) { _ = try Checkpoint(folder: copy) }
    let joined = try Checkpoint(folder: copy, files: files)
    #expect(joined.componentFiles == files)
    for component in whole.components {
      let other = joined.weights(of: component.role)
      #expect(Set(other.weights.keys) == Set(component.weights.weights.keys))
      for (name, weight) in component.weights.weights {
        #expect(try other.weights[name]?.floats() == weight.floats(), "\(name)")
      }
    }
  }

  @Test("A file that no component reads is refused, and one that is no text encoder")
  func unused() throws {
    let flux = Bundle.module.fixture("pipelines/flux")
    let qwen = try split("flux2", "text_encoder").file
    let other = #expect(throws: ModelError.self) {
      _ = try Checkpoint(folder: flux, files: ComponentFiles(textEncoders: [qwen]))
    }
    #expect(other?.settings == [.textEncoder])
    #expect(other?.message.contains("has the text encoder Qwen3 of width 16") == true)
    let transformer = try split("flux2", "transformer").file
    let none = #expect(throws: ModelError.self) {
      _ = try Checkpoint(folder: flux, files: ComponentFiles(textEncoders: [transformer]))
    }
    #expect(none?.message.contains("expected CLIP, T5 or Qwen3") == true)
    #expect(throws: ModelError.self) {
      _ = try Checkpoint(folder: flux, files: ComponentFiles(network: transformer))
    }
    let starter = #expect(throws: ModelError.self) {
      _ = try Checkpoint(
        folder: Starter64.folder, files: ComponentFiles(network: transformer))
    }
    #expect(starter?.settings == [.network])
  }
}
