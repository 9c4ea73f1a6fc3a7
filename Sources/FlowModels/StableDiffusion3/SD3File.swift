internal import FlowCore
internal import FlowGraph
internal import FlowText
internal import Foundation

/// Stable Diffusion 3 in one file with the names of the original repository: its transformer, and
/// possibly the other components.
///
/// Components that the file lacks are read from the folders beside it, as in the published
/// repositories: `text_encoder`, `text_encoder_2`, `text_encoder_3` with their tokenizers, and
/// `vae`.
struct SD3File {
  let path: String
  private let store: WeightStore
  /// The prefix of the transformer's names.
  private let prefix: String

  private static let clip = [
    "text_encoders.clip_l.transformer.", "text_encoders.clip_g.transformer.",
  ]
  private static let t5 = "text_encoders.t5xxl.transformer."
  private static let autoencoder = "first_stage_model."

  /// The prefix of the names of a transformer of this family; nil if there is none.
  static func prefix(in store: WeightStore) -> String? {
    ["model.diffusion_model.", ""].first { prefix in
      store.weights["\(prefix)joint_blocks.0.context_block.attn.qkv.weight"] != nil
    }
  }

  init(path: String, _ store: WeightStore) throws(ModelError) {
    guard let prefix = Self.prefix(in: store) else {
      throw ModelError(
        code: .fileInvalid, message: "'\(path)' has no transformer of Stable Diffusion 3")
    }
    self.path = path
    self.store = store
    self.prefix = prefix
  }

  private var folder: String { URL(filePath: path).deletingLastPathComponent().path }

  private func has(_ prefix: String) -> Bool {
    store.weights.keys.contains { $0.hasPrefix(prefix) }
  }

  private func part(_ prefix: String) -> WeightStore {
    store.renamed { $0.hasPrefix(prefix) ? String($0.dropFirst(prefix.count)) : nil }
  }

  private func missing(_ what: String, _ places: String) -> ModelError {
    ModelError(
      code: .fileMissing,
      message: "'\(path)' has no \(what), and there is none beside it: expected \(places) in "
        + "'\(folder)', as diffusers' folders of Stable Diffusion 3 have them")
  }

  /// The network.
  func transformer() throws -> (SD3TransformerConfiguration, WeightStore) {
    let (own, path) = (part(prefix), path)
    let lastBlock = own.shapes.count(of: "joint_blocks") - 1
    // Without a prefix, tensors of other components are recognized by their names.
    let others = ["text_encoders.", Self.autoencoder]
    let named = try own.mapped { (weight) throws(GraphError) in
      guard !others.contains(where: { weight.name.hasPrefix($0) }) else { return [] }
      let parts = try SD3Names.weights(weight, lastBlock: lastBlock)
      guard !parts.isEmpty else {
        throw GraphError(
          code: .weightsInvalid,
          message:
            "'\(path)': the network has '\(weight.name)', which Stable Diffusion 3 does not have; "
            + "it is of a kind that is not supported")
      }
      return parts
    }
    let configuration = try SD3TransformerConfiguration(
      ConfigurationFile(path: path, values: SD3TransformerConfiguration.values(of: named.shapes)))
    return (configuration, try configuration.weights(named))
  }

  /// CLIP's two text encoders; the first one's pooled text is unprojected.
  ///
  /// - Parameter options: the choice of weights that are not in the file.
  func clip(_ options: LoadOptions) throws -> [(encoding: CLIPTextEncoding, weights: WeightStore)] {
    try Self.clip.enumerated().map { index, prefix in
      let suffix = index == 0 ? "" : "_2"
      let name = "text_encoder\(suffix)"
      guard has(prefix) else {
        guard ConfigurationFile.exists("\(folder)/\(name)/config.json") else {
          throw missing("text encoder of CLIP (\(prefix)*)", "\(name) and tokenizer\(suffix)")
        }
        return try CLIPTextEncoding.open(
          folder: folder, name: name, tokenizer: "tokenizer\(suffix)", options)
      }
      let own = part(prefix)
        .renamed { $0.hasSuffix("position_ids") || $0 == "logit_scale" ? nil : $0 }
        .withoutTextModelPrefix()
      let weights =
        index == 0 ? own.withoutTextProjection() : own
      let values = CLIPTextConfiguration.values(
        of: weights.shapes, activation: index == 0 ? "quick_gelu" : "gelu")
      let encoding = CLIPTextEncoding(
        name: name,
        configuration: try CLIPTextConfiguration(
          ConfigurationFile(path: path, values: values), weights: weights),
        tokenizer: try CLIPTokenizer(
          folder: PackageFolder.path("clip"), padding: index == 0 ? nil : "!"),
        state: .penultimate, chunkLimit: 1)
      return (encoding, weights)
    }
  }

  /// T5's encoder, whose tokenizer is always in a folder; nil if the model has none.
  ///
  /// - Parameter options: the choice of weights that are not in the file.
  func t5(_ options: LoadOptions) throws -> (encoding: T5TextEncoding, weights: WeightStore)? {
    let (name, tokenizer) = ("text_encoder_3", "tokenizer_3")
    guard has(Self.t5) else {
      guard ConfigurationFile.exists("\(folder)/\(name)/config.json") else { return nil }
      return try T5TextEncoding.open(
        folder: folder, name: name, tokenizer: tokenizer,
        tokenCount: StableDiffusion3.t5TokenCount, options)
    }
    guard ConfigurationFile.exists("\(folder)/\(tokenizer)") else {
      throw missing("tokenizer for its T5 (\(Self.t5)*)", tokenizer)
    }
    let own = part(Self.t5)
    let configuration = try T5Configuration(
      ConfigurationFile(path: path, values: T5Configuration.values(of: own.shapes)))
    let encoding = T5TextEncoding(
      name: name, configuration: configuration,
      tokenizer: try T5Tokenizer(folder: "\(folder)/\(tokenizer)"),
      tokenCount: StableDiffusion3.t5TokenCount)
    return (encoding, try configuration.weights(own))
  }

  /// The autoencoder.
  func autoencoder(_ choice: AutoencoderChoice) throws -> AutoencoderParts {
    let isOwn = choice == .automatic || choice == .full
    if isOwn, has(Self.autoencoder) {
      return try AutoencoderFile.original(
        store, path: path, prefix: Self.autoencoder, latents: .taesd3)
    }
    if isOwn, !ConfigurationFile.exists("\(folder)/vae/config.json") {
      throw missing("autoencoder (\(Self.autoencoder)*)", "vae")
    }
    return try .find(folder: folder, choice: choice, variant: nil, latents: .taesd3)
  }

  /// The published scheduler.
  func scheduler() throws(ModelError) -> SchedulerConfiguration {
    try SchedulerConfiguration(
      ConfigurationFile(
        path: path,
        values: [
          "_class_name": .text("FlowMatchEulerDiscreteScheduler"), "shift": .number(3),
        ]))
  }
}

extension SD3TransformerConfiguration {
  /// The configuration of a transformer, derived from the shapes of its weights.
  ///
  /// The shapes do not show the head width if queries are not normalized, nor the size of latents
  /// in training; the published values are used.
  static func values(of shapes: [String: Shape]) -> [String: ConfigurationFile.Value] {
    let width = shapes.extent("pos_embed.proj.weight", 0) ?? 0
    let norm = shapes.extent("transformer_blocks.0.attn.norm_q.weight", 0)
    let headWidth = norm ?? 64
    let layerCount = shapes.count(of: "transformer_blocks")
    let positionCount = shapes.extent("pos_embed.pos_embed", 1) ?? 0
    let dual = (0..<layerCount).filter { shapes.has("transformer_blocks.\($0).attn2") }
    return [
      "_class_name": .text("SD3Transformer2DModel"), "sample_size": .integer(128),
      "patch_size": .integer(shapes.extent("pos_embed.proj.weight", 2) ?? 0),
      "in_channels": .integer(shapes.extent("pos_embed.proj.weight", 1) ?? 0),
      "num_layers": .integer(layerCount), "attention_head_dim": .integer(headWidth),
      "num_attention_heads": .integer(headWidth > 0 ? width / headWidth : 0),
      "joint_attention_dim": .integer(shapes.extent("context_embedder.weight", 1) ?? 0),
      "caption_projection_dim": .integer(shapes.extent("context_embedder.weight", 0) ?? 0),
      "pooled_projection_dim": .integer(
        shapes.extent("time_text_embed.text_embedder.linear_1.weight", 1) ?? 0),
      "pos_embed_max_size": .integer(Int(Double(positionCount).squareRoot().rounded())),
      "dual_attention_layers": .list(dual.map { .integer($0) }),
      "qk_norm": norm == nil ? .null : .text("rms_norm"),
    ]
  }
}
