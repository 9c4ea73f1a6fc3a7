internal import FlowGraph
internal import FlowText

extension StableDiffusion3 {
  static func recognizes(_ store: WeightStore) -> Bool { SD3File.prefix(in: store) != nil }

  func layerName(ofOriginal name: String) -> String? { nil }

  func layerParts(ofOriginal name: String) -> LayerParts? {
    SD3Names.layer(name, lastBlock: transformer.layerCount - 1)
  }

  static func open(_ source: ModelSource, _ options: LoadOptions) throws -> ModelParts {
    switch source {
    case .folder(let folder, let index): try open(folder: folder, index, options)
    case .file(let path, let store): try open(SD3File(path: path, store), options)
    }
  }

  private static func open(
    folder: String, _ index: ConfigurationFile, _ options: LoadOptions
  ) throws -> ModelParts {
    let (configuration, network) = try transformer(folder: folder, options)
    let clip = try ["", "_2"].map { suffix in
      try CLIPTextEncoding.open(
        folder: folder, name: "text_encoder\(suffix)", tokenizer: "tokenizer\(suffix)", options)
    }
    let t5 =
      try hasT5(index, in: folder)
      ? T5TextEncoding.open(
        folder: folder, name: "text_encoder_3", tokenizer: "tokenizer_3",
        tokenCount: t5TokenCount, options) : nil
    let scheduler = try SchedulerConfiguration(
      ConfigurationFile(path: "\(folder)/scheduler/scheduler_config.json"))
    return try ModelParts(
      pipelineName: index.text("_class_name") ?? "unnamed", configuration, network, clip: clip,
      t5: t5,
      autoencoder: .find(
        folder: folder, choice: options.autoencoder, variant: options.variant, latents: .taesd3),
      scheduler: scheduler, path: folder)
  }

  /// The network of a folder, or of a file in original names or in diffusers'.
  private static func transformer(
    folder: String, _ options: LoadOptions
  ) throws -> (SD3TransformerConfiguration, WeightStore) {
    if let file = options.network, recognizes(file.store) {
      return try SD3File(path: file.path, file.store).transformer()
    }
    let configuration = try SD3TransformerConfiguration(
      ConfigurationFile(path: "\(folder)/transformer/config.json"))
    return (
      configuration, try options.networkWeights(in: folder, configuration.weights)
    )
  }

  private static func open(_ file: SD3File, _ options: LoadOptions) throws -> ModelParts {
    let (configuration, network) = try file.transformer()
    return try ModelParts(
      pipelineName: pipelines[0], configuration, network, clip: file.clip(options),
      t5: file.t5(options),
      autoencoder: file.autoencoder(options.autoencoder), scheduler: file.scheduler(),
      path: file.path)
  }

  /// Whether the index lists a third text encoder; a model without one has null there.
  private static func hasT5(_ index: ConfigurationFile, in folder: String) throws -> Bool {
    guard ![nil, .list([.null, .null])].contains(index["text_encoder_3"]) else { return false }
    guard ConfigurationFile.exists("\(folder)/text_encoder_3/config.json") else {
      throw ModelError(
        code: .fileMissing,
        message: "'\(folder)/text_encoder_3/config.json' is missing, and '\(index.path)' names T5; "
          + "fetch text_encoder_3 and tokenizer_3, or make text_encoder_3 [null, null] there to "
          + "run "
          + "without T5")
    }
    return true
  }
}

extension CLIPTextEncoding {
  /// Opens a folder's encoder with its second to last hidden state and its projected pooled state.
  static func open(
    folder: String, name: String, tokenizer: String, _ options: LoadOptions
  ) throws -> (encoding: CLIPTextEncoding, weights: WeightStore) {
    let weights = try options.textWeights(
      .clip, in: "\(folder)/\(name)", width: "hidden_size"
    ).withoutTextModelPrefix()
    let configuration = try CLIPTextConfiguration(
      ConfigurationFile(path: "\(folder)/\(name)/config.json"), weights: weights)
    guard configuration.projectionWidth != nil else {
      throw ModelError(
        code: .fileInvalid,
        message: "'\(folder)/\(name)' has no \(CLIPTextConfiguration.projection): it is a "
          + "CLIPTextModel, and the network reads the pooled text of a CLIPTextModelWithProjection")
    }
    let encoding = CLIPTextEncoding(
      name: name, configuration: configuration,
      tokenizer: try CLIPTokenizer(folder: "\(folder)/\(tokenizer)"), state: .penultimate,
      chunkLimit: 1)
    return (encoding, weights)
  }
}

extension ModelParts {
  fileprivate init(
    pipelineName: String, _ transformer: SD3TransformerConfiguration, _ network: WeightStore,
    clip: [(encoding: CLIPTextEncoding, weights: WeightStore)],
    t5: (encoding: T5TextEncoding, weights: WeightStore)?, autoencoder: AutoencoderParts,
    scheduler: SchedulerConfiguration, path: String
  ) throws(ModelError) {
    let family = try StableDiffusion3(
      transformer, clip: clip.map(\.encoding), t5: t5?.encoding, path: path)
    let stores = clip.map(\.weights) + (t5.map { [$0.weights] } ?? [])
    let texts = zip(family.textEncoders, stores).enumerated().map { number, text in
      Component(
        .textEncoder(number), name: text.0.name, architecture: text.0.architecture,
        weights: text.1)
    }
    self.init(
      pipelineName: pipelineName, family: family,
      components: [
        Component(
          .network, name: "transformer", architecture: "SD3Transformer2DModel", weights: network)
      ] + texts, autoencoder: autoencoder, scheduler: scheduler)
  }
}
