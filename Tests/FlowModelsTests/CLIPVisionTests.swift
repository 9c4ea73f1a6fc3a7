import FlowCore
import FlowEngine
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels

/// CLIP's image encoder against transformers.
@Suite(.tags(.engine)) struct CLIPVisionTests {
  @Test(
    "Pixels are normalized as CLIPImageProcessor does, and encoded as transformers does",
    arguments: ["image_encoder", "image-encoder-wide"])
  func golden(name: String) async throws {
    let golden = try AdaptedNetwork.golden("\(name)/")
    let encoder = try CLIPVision(folder: "\(AdaptedNetwork.folder)/\(name)")
    #expect(encoder.imageSize == PixelSize(width: 32, height: 32))
    for (row, pixels) in try golden.rows("pixels").enumerated() {
      let graph = Graph(name: "vision")
      let image = try encoder.normalized(graph.pixels(encoder.imageSize))
      graph.output(image, as: "normalized")
      graph.output(try encoder.embedding(image), as: "embedding")
      graph.output(try encoder.penultimate(image), as: "penultimate")
      let outputs = try await AdaptedNetwork.run(graph, [encoder.weights], ["pixels": pixels])
      // Rounding alone: numbers within -1.8 and 2.2.
      expectClose(
        try #require(outputs["normalized"]), try golden.rows("normalized")[row], tolerance: 1e-6)
      for key in ["embedding", "penultimate"] {
        expectClose(
          try #require(outputs[PortName(key)]), try golden.rows(key)[row], relativeTolerance: 1e-5)
      }
    }
  }

  @Test("An image of another size becomes what CLIPImageProcessor makes of it")
  func preprocessing() async throws {
    let golden = try AdaptedNetwork.golden("image_encoder/")
    let encoder = try CLIPVision(folder: "\(AdaptedNetwork.folder)/image_encoder")
    let shape = try golden.shape("other.pixels")
    let image = PixelImage(
      width: shape[1], height: shape[0],
      pixels: try golden.floats("other.pixels").map { UInt8($0) })
    let middle = image.bicubicMiddle(side: encoder.configuration.imageSide)
    let graph = Graph(name: "normalization")
    graph.output(try encoder.normalized(graph.pixels(encoder.imageSize)), as: "normalized")
    let outputs = try await AdaptedNetwork.run(graph, [], ["pixels": middle.pixels.map(Float.init)])
    // The pixels are the same; rounding alone.
    expectClose(
      try #require(outputs["normalized"]), try golden.floats("other.normalized"), tolerance: 1e-6)
  }

  @Test("Every weight is read, and one too few or too many is an error")
  func weights() throws {
    let encoder = try CLIPVision(folder: "\(AdaptedNetwork.folder)/image_encoder")
    let graph = Graph(name: "vision")
    let image = try encoder.normalized(graph.pixels(encoder.imageSize))
    graph.output(try encoder.embedding(image), as: "embedding")
    let read = Set(GraphModule(graph, weightsIdentity: []).weights.map(\.name))
    #expect(read == Set(encoder.weights.weights.keys))
    let missing = #expect(throws: GraphError.self) {
      try encoder.configuration.weights(
        encoder.weights.renamed { $0 == "visual_projection.weight" ? nil : $0 })
    }
    #expect(missing?.message.contains("visual_projection.weight") == true)
    let unknown = #expect(throws: GraphError.self) {
      try encoder.configuration.weights(
        encoder.weights.merging(encoder.weights.renamed { "more.\($0)" }))
    }
    #expect(unknown?.message.contains("more.") == true)
    // A whole CLIP's file has a text encoder too.
    let whole = encoder.weights.merging(encoder.weights.renamed { "text_model.\($0)" })
    #expect(try encoder.configuration.weights(whole).weights.count == encoder.weights.weights.count)
  }

  @Test(
    "The published encoders have as many tensors as their files",
    arguments: [("ViT-H/14", 1280, 32, 1024, 520), ("ViT-bigG/14", 1664, 48, 1280, 776)])
  func published(
    name: String, width: Int, layerCount: Int, projectionWidth: Int, tensorCount: Int
  ) throws {
    let values: [String: ConfigurationFile.Value] = [
      "model_type": .text("clip_vision_model"), "hidden_size": .integer(width),
      "num_hidden_layers": .integer(layerCount), "num_attention_heads": .integer(16),
      "projection_dim": .integer(projectionWidth), "patch_size": .integer(14),
      "hidden_act": .text("gelu"),
    ]
    let configuration = try CLIPVisionConfiguration(ConfigurationFile(path: name, values: values))
    #expect(configuration.tokenCount == 257 && configuration.imageSide == 224)
    #expect(configuration.weightNames.count == tensorCount)
    let whole: [String: ConfigurationFile.Value] = [
      "model_type": .text("clip"), "projection_dim": .integer(projectionWidth),
      "vision_config": .object(values.filter { $0.key != "projection_dim" }),
    ]
    #expect(
      try CLIPVisionConfiguration(ConfigurationFile(path: name, values: whole)) == configuration)
  }

  @Test(
    "What no graph is written for is refused by its name",
    arguments: [
      ("model_type", .text("siglip_vision_model")), ("hidden_act", .text("silu")),
      ("num_channels", .integer(1)), ("num_attention_heads", .integer(7)),
      ("patch_size", .integer(0)),
    ] as [(String, ConfigurationFile.Value)])
  func refused(key: String, value: ConfigurationFile.Value) {
    let file = ConfigurationFile(path: "config.json", values: [key: value])
    let error = #expect(throws: ModelError.self) { try CLIPVisionConfiguration(file) }
    #expect(error?.message.contains("\(key) =") == true, "\(error?.message ?? "")")
  }
}
