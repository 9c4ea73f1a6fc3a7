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
    let (configuration, network) = try transformer(folder: folder, options)
    let scheduler = try SchedulerConfiguration(
      ConfigurationFile(path: "\(folder)/scheduler/scheduler_config.json"))
    var pipeline = try index.text("_class_name") ?? "unnamed"
    // A file's name tells the variant of its weights, whatever the folder was.
    if let file = options.network, recognizes(file.store) {
      let name = try FluxFile(path: file.path, file.store).pipelineName(configuration)
      if name == kontextPipeline { pipeline = name }
    }
    return try ModelParts(
      pipelineName: pipeline, configuration, network,
      clip: clip(folder: folder, options), t5: t5(folder: folder, configuration, options),
      autoencoder: .find(
        folder: folder, choice: options.autoencoder, variant: options.variant, latents: .taef1),
      scheduler: scheduler, path: folder)
  }

  /// The network of a folder, or of a file in original names or in diffusers'.
  private static func transformer(
    folder: String, _ options: LoadOptions
  ) throws -> (FluxTransformerConfiguration, WeightStore) {
    if let file = options.network, recognizes(file.store) {
      return try FluxFile(path: file.path, file.store).transformer()
    }
    let configuration = try FluxTransformerConfiguration(
      ConfigurationFile(path: "\(folder)/transformer/config.json"))
    return (
      configuration, try options.networkWeights(in: folder, configuration.weights)
    )
  }

  private static func open(_ file: FluxFile, _ options: LoadOptions) throws -> ModelParts {
    let (configuration, network) = try file.transformer()
    return try ModelParts(
      pipelineName: file.pipelineName(configuration), configuration, network,
      clip: file.clip(options),
      t5: file.t5(configuration, options), autoencoder: file.autoencoder(options.autoencoder),
      scheduler: file.scheduler(configuration), path: file.path)
  }

  /// CLIP's text encoder in a folder, with its pooled text unprojected even if the folder has a
  /// projection.
  static func clip(
    folder: String, _ options: LoadOptions
  ) throws -> (encoding: CLIPTextEncoding, weights: WeightStore) {
    let name = "text_encoder"
    let weights = try options.textWeights(
      .clip, in: "\(folder)/\(name)", width: "hidden_size"
    ).withoutTextModelPrefix().withoutTextProjection()
    let configuration = try CLIPTextConfiguration(
      ConfigurationFile(path: "\(folder)/\(name)/config.json"), weights: weights)
    let encoding = CLIPTextEncoding(
      name: name, configuration: configuration,
      tokenizer: try CLIPTokenizer(folder: "\(folder)/tokenizer"), state: .unread, chunkLimit: 1)
    return (encoding, weights)
  }

  /// T5's encoder in a folder.
  static func t5(
    folder: String, _ transformer: FluxTransformerConfiguration, _ options: LoadOptions
  ) throws -> (encoding: T5TextEncoding, weights: WeightStore) {
    try T5TextEncoding.open(
      folder: folder, name: "text_encoder_2", tokenizer: "tokenizer_2",
      tokenCount: tokenCount(transformer), options)
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
    let family = try Flux(
      transformer, clip: clip.encoding, t5: t5.encoding,
      variant: pipelineName == Flux.kontextPipeline ? Flux.kontext : nil, path: path)
    let side = autoencoder.configuration.factor
    guard transformer.maskChannels == 0 || transformer.maskChannels == side * side else {
      throw ModelError(
        code: .fileInvalid,
        message:
          "'\(path)': the network reads \(transformer.maskChannels) pixels of a mask for each "
          + "latent pixel (in_channels), which has \(side * side) in the autoencoder; they do not "
          + "match")
    }
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
