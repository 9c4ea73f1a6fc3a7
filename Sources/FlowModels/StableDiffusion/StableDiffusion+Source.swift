internal import FlowGraph
internal import FlowText

extension StableDiffusion {
  /// Whether a file has a network in the names of the original repositories.
  static func recognizes(_ store: WeightStore) -> Bool {
    store.weights.keys.contains { $0.hasPrefix(SingleFile.network) }
  }

  static func open(_ source: ModelSource, _ options: LoadOptions) throws -> ModelParts {
    switch source {
    case .folder(let folder, let index): try open(folder: folder, index, options)
    case .file(let path, let store): try open(SingleFile(path: path, store), options)
    }
  }

  private static func open(
    folder: String, _ index: ConfigurationFile, _ options: LoadOptions
  ) throws -> ModelParts {
    let pipelineName = try index.text("_class_name") ?? "unnamed"
    let unet = try UNetConfiguration(ConfigurationFile(path: "\(folder)/unet/config.json"))
    let scheduler = try SchedulerConfiguration(
      ConfigurationFile(path: "\(folder)/scheduler/scheduler_config.json"))
    let network = try WeightStore(
      folder: "\(folder)/unet", stem: "diffusion_pytorch_model", variant: options.variant)
    let count = pipelineName == "StableDiffusionXLPipeline" ? 2 : 1
    let texts = try (1...count).map { number in
      let suffix = number == 1 ? "" : "_\(number)"
      let name = "text_encoder\(suffix)"
      let file = try ConfigurationFile(path: "\(folder)/\(name)/config.json")
      let weights = try WeightStore(
        folder: "\(folder)/\(name)", stem: "model", variant: options.variant
      ).withoutTextModelPrefix()
      return (
        CLIPTextEncoding(
          name: name, configuration: try CLIPTextConfiguration(file, weights: weights),
          tokenizer: try CLIPTokenizer(folder: "\(folder)/tokenizer\(suffix)"),
          state: unet.hiddenState), weights
      )
    }
    let isXL = unet.addition != nil
    return try ModelParts(
      pipelineName: pipelineName, unet, network, texts,
      autoencoder: AutoencoderParts.find(
        folder: folder, choice: options.autoencoder, variant: options.variant,
        latents: isXL ? .taesdxl : .taesd),
      scheduler: scheduler,
      zeroesEmptyPrompt: index.bool("force_zeros_for_empty_prompt", default: false), path: folder)
  }

  private static func open(_ file: SingleFile, _ options: LoadOptions) throws -> ModelParts {
    let (unet, network) = try file.unet()
    let isXL = file.family == .sdxl
    let autoencoder: AutoencoderParts =
      switch options.autoencoder {
      case .automatic, .full: try file.autoencoder()
      case .path:
        try .find(
          folder: file.path, choice: options.autoencoder, variant: nil,
          latents: isXL ? .taesdxl : .taesd)
      case .tiny:
        throw ModelError(
          code: .fileMissing,
          message: "'\(file.path)' has no tiny autoencoder; give the path of one",
          settings: [.autoencoder])
      }
    return try ModelParts(
      pipelineName: isXL ? "StableDiffusionXLPipeline" : "StableDiffusionPipeline", unet, network,
      file.textEncoders(unet.hiddenState), autoencoder: autoencoder,
      scheduler: SchedulerConfiguration(ofModelAt: file.path), zeroesEmptyPrompt: isXL,
      path: file.path)
  }
}

extension UNetConfiguration {
  /// The hidden states of its text encoders that the network reads.
  var hiddenState: CLIPText.HiddenState { addition == nil ? .last : .penultimate }
}

extension ModelParts {
  fileprivate init(
    pipelineName: String, _ unet: UNetConfiguration, _ network: WeightStore,
    _ texts: [(encoding: CLIPTextEncoding, weights: WeightStore)], autoencoder: AutoencoderParts,
    scheduler: SchedulerConfiguration, zeroesEmptyPrompt: Bool, path: String
  ) throws(ModelError) {
    let family = try StableDiffusion(
      unet, encoders: texts.map(\.encoding), zeroesEmptyPrompt: zeroesEmptyPrompt, path: path)
    let components =
      [
        Component(
          .network, name: "unet", architecture: "UNet2DConditionModel", weights: network)
      ]
      + texts.enumerated().map { index, text in
        Component(
          .textEncoder(index), name: text.encoding.name,
          architecture: text.encoding.architecture, weights: text.weights)
      }
    self.init(
      pipelineName: pipelineName, family: family, components: components,
      autoencoder: autoencoder, scheduler: scheduler)
  }
}
