internal import FlowCore
internal import FlowGraph
internal import FlowText
internal import Foundation

/// FLUX.1 in one file with the names of the original repository: its transformer, and possibly the
/// other components.
///
/// Components that the file lacks are read from the folders beside it, as in the published
/// repositories: `text_encoder`, `text_encoder_2`, `tokenizer_2` and `vae` (or `ae.safetensors`).
struct FluxFile {
  let path: String
  private let store: WeightStore
  /// The prefix of the transformer's names.
  private let prefix: String

  private static let clip = "text_encoders.clip_l.transformer."
  private static let t5 = "text_encoders.t5xxl.transformer."
  private static let autoencoder = "vae."

  /// The prefix of the names of a transformer of this family; nil if there is none.
  static func prefix(in store: WeightStore) -> String? {
    ["", "model.diffusion_model."].first { prefix in
      // Later families have one modulation for all blocks, or none.
      ["double_blocks.0.img_mod.lin.weight", "single_blocks.0.linear1.weight"]
        .allSatisfy { store.weights[prefix + $0] != nil }
    }
  }

  init(path: String, _ store: WeightStore) throws(ModelError) {
    guard let prefix = Self.prefix(in: store) else {
      throw ModelError(code: .fileInvalid, message: "'\(path)' has no transformer of FLUX.1")
    }
    self.path = path
    self.store = store
    self.prefix = prefix
  }

  /// The pipeline of the model: its weights have the names and shapes of every FLUX.1, so that
  /// only the file's name tells that it was trained to edit.
  ///
  /// - Parameter transformer: its configuration, which tells whether it reads a masked image.
  func pipelineName(_ transformer: FluxTransformerConfiguration) -> String {
    guard transformer.maskChannels == 0 else { return Flux.fillPipeline }
    return URL(filePath: path).lastPathComponent.lowercased().contains(Flux.kontext)
      ? Flux.kontextPipeline : "FluxPipeline"
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
      message: "'\(path)' has no \(what), and there is none beside it; expected \(places) in "
        + "'\(folder)', as the published repositories of FLUX.1 have them")
  }

  /// The network.
  func transformer() throws -> (FluxTransformerConfiguration, WeightStore) {
    let (own, path) = (part(prefix), path)
    // Without a prefix, tensors of other components are recognized by their names.
    let others = ["text_encoders.", Self.autoencoder]
    let named = try own.mapped { (weight) throws(GraphError) in
      guard !others.contains(where: { weight.name.hasPrefix($0) }) else { return [] }
      let parts = try FluxNames.weights(weight, named: weight.name)
      guard !parts.isEmpty else {
        throw GraphError(
          code: .weightsInvalid,
          message: "'\(path)': the network has '\(weight.name)', which no FLUX.1 has; it is of a "
            + "kind that is not supported")
      }
      return parts
    }
    let values = FluxTransformerConfiguration.values(of: named.shapes)
    let configuration = try FluxTransformerConfiguration(
      ConfigurationFile(path: path, values: values))
    return (configuration, try configuration.weights(named))
  }

  /// CLIP's text encoder.
  ///
  /// - Parameter options: the choice of weights that are not in the file.
  func clip(_ options: LoadOptions) throws -> (encoding: CLIPTextEncoding, weights: WeightStore) {
    guard has(Self.clip) else {
      guard ConfigurationFile.exists("\(folder)/text_encoder/config.json") else {
        throw missing("text encoder of CLIP (\(Self.clip)*)", "text_encoder and tokenizer")
      }
      return try Flux.clip(folder: folder, options)
    }
    let weights = part(Self.clip)
      .renamed { $0.hasSuffix("position_ids") || $0 == "logit_scale" ? nil : $0 }
      .withoutTextModelPrefix().withoutTextProjection()
    let values = CLIPTextConfiguration.values(of: weights.shapes, activation: "quick_gelu")
    let encoding = CLIPTextEncoding(
      name: "text_encoder",
      configuration: try CLIPTextConfiguration(
        ConfigurationFile(path: path, values: values), weights: weights),
      tokenizer: try CLIPTokenizer(folder: PackageFolder.path("clip"), padding: nil),
      state: .unread, chunkLimit: 1)
    return (encoding, weights)
  }

  /// T5's encoder; its tokenizer is always in a folder.
  func t5(
    _ transformer: FluxTransformerConfiguration, _ options: LoadOptions
  ) throws -> (encoding: T5TextEncoding, weights: WeightStore) {
    guard ConfigurationFile.exists("\(folder)/tokenizer_2") else {
      throw missing("tokenizer of T5", "tokenizer_2 (and text_encoder_2)")
    }
    guard has(Self.t5) else {
      guard ConfigurationFile.exists("\(folder)/text_encoder_2/config.json") else {
        throw missing("text encoder T5 (\(Self.t5)*)", "text_encoder_2 and tokenizer_2")
      }
      return try Flux.t5(folder: folder, transformer, options)
    }
    let own = part(Self.t5)
    let configuration = try T5Configuration(
      ConfigurationFile(path: path, values: T5Configuration.values(of: own.shapes)))
    let encoding = T5TextEncoding(
      name: "text_encoder_2", configuration: configuration,
      tokenizer: try T5Tokenizer(folder: "\(folder)/tokenizer_2"),
      tokenCount: Flux.tokenCount(transformer))
    return (encoding, try configuration.weights(own))
  }

  /// The autoencoder.
  func autoencoder(_ choice: AutoencoderChoice) throws -> AutoencoderParts {
    let isOwn = choice == .automatic || choice == .full
    if isOwn, has(Self.autoencoder) {
      return try AutoencoderFile.original(
        store, path: path, prefix: Self.autoencoder, latents: .taef1)
    }
    let file = "\(folder)/ae.safetensors"
    if isOwn, !ConfigurationFile.exists("\(folder)/vae/config.json") {
      guard ConfigurationFile.exists(file) else {
        throw missing("autoencoder (\(Self.autoencoder)*)", "vae or ae.safetensors")
      }
      return try .find(folder: folder, choice: .path(file), variant: nil, latents: .taef1)
    }
    return try .find(folder: folder, choice: choice, variant: nil, latents: .taef1)
  }

  /// The published scheduler: dev's shifts by image size, schnell's does not.
  func scheduler(
    _ transformer: FluxTransformerConfiguration
  ) throws(ModelError) -> SchedulerConfiguration {
    try SchedulerConfiguration(
      ConfigurationFile(
        path: path,
        values: [
          "_class_name": .text("FlowMatchEulerDiscreteScheduler"),
          "use_dynamic_shifting": .bool(transformer.readsGuidance),
        ]))
  }
}
