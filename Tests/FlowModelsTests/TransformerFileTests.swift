import FlowCore
import FlowGraph
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels

/// FLUX.2 and Z-Image in one file with original names.
@Suite struct TransformerFileTests {
  private typealias Tensor = (name: String, shape: [Int], scalars: [Float])

  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test("Weights are those that diffusers makes of a file", arguments: ["flux2", "zimage"])
  func names(family: String) throws {
    let store = try WeightStore(file: Bundle.module.fixture("names-\(family).safetensors"))
    func part(_ prefix: String) -> WeightStore {
      store.renamed { $0.hasPrefix(prefix) ? String($0.dropFirst(prefix.count)) : nil }
    }
    let expected = part("expected.").weights
    let made = try part("original.").mapped { (weight) throws(GraphError) in
      family == "flux2"
        ? try Flux2Names.weights(weight) : try ZImageNames.weights(weight) ?? []
    }.weights
    #expect(Set(made.keys) == Set(expected.keys))
    for (name, weight) in expected {
      #expect(try made[name]?.floats() == weight.floats(), "\(name)")
    }
  }

  private static func zeros(_ shapes: [(String, [Int])], prefix: String = "") -> [Tensor] {
    shapes.map { name, shape in
      (prefix + name, shape, [Float](repeating: 0, count: shape.reduce(1, *)))
    }
  }

  /// One head of the published width, one block of each kind.
  private static let flux2: [(String, [Int])] = {
    let width = 128
    var shapes: [(String, [Int])] = [
      ("single_blocks.0.linear1.weight", [9 * width, width]),
      ("single_blocks.0.linear2.weight", [width, 4 * width]),
      ("single_blocks.0.norm.query_norm.scale", [width]),
      ("single_blocks.0.norm.key_norm.scale", [width]),
      ("single_stream_modulation.lin.weight", [3 * width, width]), ("img_in.weight", [width, 16]),
      ("txt_in.weight", [width, 48]), ("time_in.in_layer.weight", [width, 256]),
      ("time_in.out_layer.weight", [width, width]), ("final_layer.linear.weight", [16, width]),
      ("final_layer.adaLN_modulation.1.weight", [2 * width, width]),
    ]
    let stream: [(String, [Int])] = [
      ("attn.qkv.weight", [3 * width, width]), ("attn.proj.weight", [width, width]),
      ("attn.norm.query_norm.scale", [width]), ("attn.norm.key_norm.scale", [width]),
      ("mlp.0.weight", [6 * width, width]), ("mlp.2.weight", [width, 3 * width]),
    ]
    for name in ["img", "txt"] {
      for (layer, shape) in stream { shapes.append(("double_blocks.0.\(name)_\(layer)", shape)) }
      shapes.append(("double_stream_modulation_\(name).lin.weight", [6 * width, width]))
    }
    return shapes
  }()

  private static let zimage: [(String, [Int])] = {
    let width = 128
    let block: [(String, [Int])] = [
      ("attention.qkv.weight", [3 * width, width]), ("attention.out.weight", [width, width]),
      ("attention.q_norm.weight", [width]), ("attention.k_norm.weight", [width]),
      ("attention_norm1.weight", [width]), ("attention_norm2.weight", [width]),
      ("ffn_norm1.weight", [width]), ("ffn_norm2.weight", [width]),
      ("feed_forward.w1.weight", [8, width]), ("feed_forward.w2.weight", [width, 8]),
      ("feed_forward.w3.weight", [8, width]),
    ]
    let modulation: [(String, [Int])] = [
      ("adaLN_modulation.0.weight", [4 * width, width]), ("adaLN_modulation.0.bias", [4 * width]),
    ]
    var shapes: [(String, [Int])] = [
      ("cap_embedder.0.weight", [24]), ("x_pad_token", [1, width]), ("cap_pad_token", [1, width]),
      ("norm_final.weight", [width]),
    ]
    for stack in ["noise_refiner", "context_refiner", "layers"] {
      let parts = stack == "context_refiner" ? block : block + modulation
      for (name, shape) in parts { shapes.append(("\(stack).0.\(name)", shape)) }
    }
    let layers: [(String, [Int])] = [
      ("x_embedder", [width, 64]), ("final_layer.linear", [64, width]),
      ("final_layer.adaLN_modulation.1", [width, width]), ("cap_embedder.1", [width, 24]),
      ("t_embedder.mlp.0", [width, 256]), ("t_embedder.mlp.2", [width, width]),
    ]
    for (name, shape) in layers {
      shapes += [("\(name).weight", shape), ("\(name).bias", [shape[0]])]
    }
    return shapes
  }()

  private func put(_ parts: [String], of model: String) throws {
    for part in parts {
      try FileManager.default.copyItem(
        atPath: Bundle.module.fixture("pipelines/\(model)/\(part)"),
        toPath: "\(folder.path)/\(part)")
    }
  }

  @Test(
    "A transformer takes the rest from the folders beside it, whatever its prefix",
    arguments: ["flux2", "zimage"], ["", "model.diffusion_model."])
  func opened(family: String, prefix: String) throws {
    let tensors = Self.zeros(family == "flux2" ? Self.flux2 : Self.zimage, prefix: prefix)
    let file = try folder.write(SafetensorsWriter.file(tensors), as: "a-base-turbo.safetensors")
    // FLUX.1 has the same names of blocks.
    #expect(!Flux.recognizes(try WeightStore(file: file)))
    var error = #expect(throws: ModelError.self) { try Checkpoint(file: file) }
    #expect(error?.message.contains("text_encoder and tokenizer") == true, "\(error as Any)")
    try put(["text_encoder", "tokenizer"], of: family)
    error = #expect(throws: ModelError.self) { try Checkpoint(file: file) }
    #expect(error?.message.contains("vae or ae.safetensors") == true, "\(error as Any)")
    try put(["vae"], of: family)
    let checkpoint = try Checkpoint(file: file)
    if family == "flux2" {
      #expect(checkpoint.family is Flux2 && checkpoint.pipelineName == "Flux2KleinPipeline")
      #expect(checkpoint.scheduleFinding.reason.hasPrefix("FLUX.2 klein base: "))
      #expect(checkpoint.family.timeShift(stepCount: 4, imageTokenCount: 1024) != nil)
      #expect(checkpoint.networkWeights.weights["norm_out.linear.weight"]?.shape == [256, 128])
    } else {
      #expect(checkpoint.family is ZImage && checkpoint.pipelineName == "ZImagePipeline")
      #expect(checkpoint.scheduleFinding.reason.hasPrefix("Z-Image-Turbo: "))
      #expect(
        checkpoint.networkWeights.weights["layers.0.attention.to_k.weight"]?.shape == [128, 128])
    }
    let klein = "\(folder.path)/klein.safetensors"
    try FileManager.default.moveItem(atPath: file, toPath: klein)
    #expect(
      try Checkpoint(file: klein).defaults().stepCount == (family == "flux2" ? 4 : 50))
  }

  @Test("The name of a file tells klein KV, which keeps the keys and values of references")
  func cachedReferences() throws {
    try put(["text_encoder", "tokenizer", "vae"], of: "flux2")
    for (name, caches) in [
      ("flux-2-klein-9b-kv", true), ("flux-2-klein-kvm", false), ("flux-2-klein-9b", false),
    ] {
      let file = try folder.write(
        SafetensorsWriter.file(Self.zeros(Self.flux2, prefix: "")), as: "\(name).safetensors")
      let checkpoint = try Checkpoint(file: file)
      #expect(checkpoint.family.readsReferenceTable == caches)
      #expect(checkpoint.pipelineName == (caches ? "Flux2KleinKVPipeline" : "Flux2KleinPipeline"))
      #expect(checkpoint.defaults().stepCount == 4)
    }
  }

  @Test("A weight that the family does not have is refused by its name")
  func strange() throws {
    let file = try folder.write(
      SafetensorsWriter.file(
        Self.zeros(Self.flux2 + [("double_blocks.0.img_mod.extra.weight", [2, 2])])),
      as: "a.safetensors")
    let error = #expect(throws: ModelError.self) { try Checkpoint(file: file) }
    #expect(error?.message.contains("'double_blocks.0.img_mod.extra.weight'") == true)
  }

  @Test("LoRAs with original names reach the layers that they were trained on")
  func loras() throws {
    for (family, names) in [
      (
        "flux2",
        [
          "double_blocks.0.img_attn.qkv": 3, "double_blocks_0_txt_mlp_2": 1,
          "single_blocks.1.linear1": 1, "single_stream_modulation.lin": 1,
        ]
      ),
      (
        "zimage",
        [
          "layers.0.attention.qkv": 3, "layers_1_attention_to_out_0": 1,
          "layers.0.attention.out": 1, "noise_refiner.0.feed_forward.w2": 1,
        ]
      ),
    ] {
      let checkpoint = try Checkpoint(folder: Bundle.module.fixture("pipelines/\(family)"))
      for (name, count) in names {
        let parts = try #require(checkpoint.family.layerParts(ofOriginal: name), "\(name)")
        #expect(parts.layers.count == count)
        for layer in parts.layers {
          #expect(checkpoint.networkWeights.weights["\(layer).weight"] != nil, "\(layer)")
        }
      }
    }
  }
}
