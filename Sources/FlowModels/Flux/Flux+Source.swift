internal import FlowGraph
internal import FlowText

extension Flux {
  static func recognizes(_ store: WeightStore) -> Bool { FluxFile.prefix(in: store) != nil }

  static func open(_ source: ModelSource, _ options: LoadOptions) throws -> ModelParts {
    switch source {
    case .folder(let folder, let index): try open(folder: folder, index, options)
    case .file(let path, let store): try open(FluxFile(path: path, store), options)
    }
  }

  private static func open(
    folder: String, _ index: ConfigurationFile, _ options: LoadOptions
  ) throws -> ModelParts {
    let configuration = try FluxTransformerConfiguration(
      ConfigurationFile(path: "\(folder)/transformer/config.json"))
    let network = try configuration.weights(
      WeightStore(
        folder: "\(folder)/transformer", stem: "diffusion_pytorch_model",
        variant: options.variant))
    let scheduler = try SchedulerConfiguration(
      ConfigurationFile(path: "\(folder)/scheduler/scheduler_config.json"))
    return try ModelParts(
      pipelineName: index.text("_class_name") ?? "unnamed", configuration, network,
      clip: clip(folder: folder, variant: options.variant),
      t5: t5(folder: folder, configuration, variant: options.variant),
      autoencoder: .find(
        folder: folder, choice: options.autoencoder, variant: options.variant, latents: .taef1),
      scheduler: scheduler, path: folder)
  }

  private static func open(_ file: FluxFile, _ options: LoadOptions) throws -> ModelParts {
    let (configuration, network) = try file.transformer()
    return try ModelParts(
      pipelineName: "FluxPipeline", configuration, network, clip: file.clip(),
      t5: file.t5(configuration), autoencoder: file.autoencoder(options.autoencoder),
      scheduler: file.scheduler(configuration), path: file.path)
  }

  /// CLIP's text encoder in a folder, with its pooled text unprojected even if the folder has a
  /// projection.
  static func clip(
    folder: String, variant: String?
  ) throws -> (encoding: CLIPTextEncoding, weights: WeightStore) {
    let name = "text_encoder"
    let weights = try WeightStore(folder: "\(folder)/\(name)", stem: "model", variant: variant)
      .withoutTextModelPrefix().withoutTextProjection()
    let configuration = try CLIPTextConfiguration(
      ConfigurationFile(path: "\(folder)/\(name)/config.json"), weights: weights)
    let encoding = CLIPTextEncoding(
      name: name, configuration: configuration,
      tokenizer: try CLIPTokenizer(folder: "\(folder)/tokenizer"), state: .unread, chunkLimit: 1)
    return (encoding, weights)
  }

  /// T5's encoder in a folder.
  static func t5(
    folder: String, _ transformer: FluxTransformerConfiguration, variant: String?
  ) throws -> (encoding: T5TextEncoding, weights: WeightStore) {
    try T5TextEncoding.open(
      folder: folder, name: "text_encoder_2", tokenizer: "tokenizer_2",
      tokenCount: tokenCount(transformer), variant: variant)
  }
}

extension WeightStore {
  /// The weights of a CLIP text encoder whose pooled text is not projected.
  func withoutTextProjection() -> WeightStore {
    renamed { $0 == CLIPTextConfiguration.projection ? nil : $0 }
  }
}

extension ModelParts {
  fileprivate init(
    pipelineName: String, _ transformer: FluxTransformerConfiguration, _ network: WeightStore,
    clip: (encoding: CLIPTextEncoding, weights: WeightStore),
    t5: (encoding: T5TextEncoding, weights: WeightStore), autoencoder: AutoencoderParts,
    scheduler: SchedulerConfiguration, path: String
  ) throws(ModelError) {
    let family = try Flux(transformer, clip: clip.encoding, t5: t5.encoding, path: path)
    self.init(
      pipelineName: pipelineName, family: family,
      components: [
        Component(
          .network, name: "transformer", architecture: "FluxTransformer2DModel",
          weights: network),
        Component(
          .textEncoder(0), name: clip.encoding.name, architecture: clip.encoding.architecture,
          weights: clip.weights),
        Component(
          .textEncoder(1), name: t5.encoding.name, architecture: t5.encoding.architecture,
          weights: t5.weights),
      ], autoencoder: autoencoder, scheduler: scheduler)
  }
}
