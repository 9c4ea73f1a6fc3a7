internal import FlowCore
public import FlowGraph
public import FlowText
internal import Foundation

/// Which autoencoder goes with a model.
public enum AutoencoderChoice: Equatable, Sendable {
  /// The model's own, in `vae/`.
  case automatic
  /// The model's own, which must be an `AutoencoderKL`.
  case full
  /// The tiny one beside it, in `vae_tiny/` or `vae/`.
  case tiny
  /// Another's folder: one of diffusers, or `taesd_decoder.safetensors` with, if pictures are to
  /// go in, `taesd_encoder.safetensors`.
  case folder(String)
}

/// A model on disk, in diffusers' folder layout: its configurations read, its weights mapped.
public struct Checkpoint: Sendable {
  /// The name that pictures are marked with: the folder's.
  public let name: String
  /// The folder.
  public let folder: String
  /// The pipeline that `model_index.json` names.
  public let pipelineName: String
  /// The network.
  public let unet: UNetConfiguration
  /// The text encoder.
  public let text: CLIPTextConfiguration
  /// The autoencoder.
  public let autoencoder: AutoencoderConfiguration
  /// The weights of the network.
  public let unetWeights: WeightStore
  /// The weights of the text encoder.
  public let textWeights: WeightStore
  /// The weights of the autoencoder.
  public let autoencoderWeights: WeightStore
  /// The tokenizer.
  public let tokenizer: CLIPTokenizer

  /// What suits the model where the user says nothing.
  public let defaults: GenerationDefaults

  let scheduler: SchedulerConfiguration

  /// Opens a model's folder.
  ///
  /// - Parameters:
  ///   - folder: the folder with `model_index.json`.
  ///   - autoencoder: which autoencoder.
  ///   - variant: the middle of the weights' file names, such as `fp16`.
  public init(
    folder: String, autoencoder: AutoencoderChoice = .automatic, variant: String? = nil
  ) throws(ModelError) {
    var isFolder: ObjCBool = false
    guard unsafe FileManager.default.fileExists(atPath: folder, isDirectory: &isFolder) else {
      throw ModelError(
        code: .fileMissing,
        message: "there is no model at '\(folder)'; --model takes a folder in diffusers' layout, "
          + "or 'starter'")
    }
    guard isFolder.boolValue else {
      throw ModelError(
        code: .unsupported,
        message: "'\(folder)' is a file; --model takes a folder in diffusers' layout (with "
          + "model_index.json)")
    }
    let url = URL(filePath: folder).standardizedFileURL
    self.folder = folder
    name = url.lastPathComponent
    defaults = try GenerationDefaults(folder: folder)
    let index = try ConfigurationFile(path: "\(folder)/model_index.json")
    pipelineName = try index.text("_class_name") ?? "unnamed"
    guard ["StableDiffusionPipeline", "RectifiedFlowPipeline"].contains(pipelineName) else {
      throw index.unsupported(
        "_class_name", expected: "\"StableDiffusionPipeline\" or \"RectifiedFlowPipeline\"")
    }
    unet = try UNetConfiguration(ConfigurationFile(path: "\(folder)/unet/config.json"))
    text = try CLIPTextConfiguration(ConfigurationFile(path: "\(folder)/text_encoder/config.json"))
    scheduler = try SchedulerConfiguration(
      ConfigurationFile(path: "\(folder)/scheduler/scheduler_config.json"),
      pipelineName: pipelineName)
    guard text.width == unet.conditioningWidth else {
      throw ModelError(
        code: .fileInvalid,
        message: "'\(folder)': the text encoder is \(text.width) wide (hidden_size), the network "
          + "reads \(unet.conditioningWidth) (cross_attention_dim)")
    }
    do {
      unetWeights = try WeightStore(
        folder: "\(folder)/unet", stem: "diffusion_pytorch_model", variant: variant)
      textWeights = try WeightStore(
        folder: "\(folder)/text_encoder", stem: "model", variant: variant)
      (self.autoencoder, autoencoderWeights) = try Self.autoencoder(
        folder: folder, choice: autoencoder, variant: variant)
      tokenizer = try CLIPTokenizer(folder: "\(folder)/tokenizer")
    } catch { throw Self.wrapped(error) }
    guard self.autoencoder.latentChannels == unet.inputChannels else {
      throw ModelError(
        code: .unsupported,
        message: "the autoencoder has \(self.autoencoder.latentChannels) latent channels, the "
          + "network \(unet.inputChannels); they are not of one family")
    }
  }

  /// The model that comes with this package: 64-pixel pictures of things and faces.
  public static func starter() throws(ModelError) -> Checkpoint {
    try Checkpoint(folder: starterFolder())
  }

  /// Opens the model that a user names: `starter`, or a folder.
  public static func named(
    _ name: String, autoencoder: AutoencoderChoice = .automatic, variant: String? = nil
  ) throws(ModelError) -> Checkpoint {
    let folder = try name == "starter" ? starterFolder() : name
    return try Checkpoint(folder: folder, autoencoder: autoencoder, variant: variant)
  }

  /// The width and height in pixels that the network was trained for.
  public var nativeSize: (width: Int, height: Int) {
    let factor = autoencoder.factor
    return (unet.sampleSize[1] * factor, unet.sampleSize[0] * factor)
  }

  /// The schedule's class as the checkpoint names it.
  public var schedulerName: String { scheduler.className }

  private static func starterFolder() throws(ModelError) -> String {
    // Beside the command first, so that an installed one needs no folder of its build.
    let resources = ["StreamFlow_StreamFlow.resources", "StreamFlow_StreamFlow.bundle"]
    let place = Bundle.main.bundleURL.resolvingSymlinksInPath()
    for name in resources {
      let folder = place.appending(path: "\(name)/starter")
      if FileManager.default.fileExists(atPath: folder.path) { return folder.path }
    }
    guard let folder = Bundle.module.url(forResource: "starter", withExtension: nil) else {
      throw ModelError(
        code: .fileMissing,
        message: "the starter model is missing beside the command at '\(place.path)'; install "
          + "again with `make install`")
    }
    return folder.path
  }

  private static func autoencoder(
    folder: String, choice: AutoencoderChoice, variant: String?
  ) throws -> (AutoencoderConfiguration, WeightStore) {
    switch choice {
    case .automatic: return try autoencoder(in: "\(folder)/vae", variant: variant)
    case .full:
      let (configuration, weights) = try autoencoder(in: "\(folder)/vae", variant: variant)
      guard case .full = configuration.kind else {
        throw ModelError(
          code: .unsupported,
          message: "'\(folder)/vae' is of \(configuration.className); it has no full autoencoder")
      }
      return (configuration, weights)
    case .tiny:
      for name in ["vae_tiny", "vae"] {
        let place = "\(folder)/\(name)"
        guard ConfigurationFile.exists("\(place)/config.json") else { continue }
        let (configuration, weights) = try autoencoder(in: place, variant: variant)
        if case .tiny = configuration.kind { return (configuration, weights) }
      }
      throw ModelError(
        code: .fileMissing,
        message: "'\(folder)' has no tiny autoencoder in vae_tiny/; give one's folder with --vae")
    case .folder(let other):
      let decoder = "\(other)/taesd_decoder.safetensors"
      guard ConfigurationFile.exists(decoder) else {
        return try autoencoder(in: other, variant: nil)
      }
      let encoder = "\(other)/taesd_encoder.safetensors"
      let weights = try WeightStore.taesd(
        encoder: ConfigurationFile.exists(encoder) ? WeightStore(file: encoder) : nil,
        decoder: WeightStore(file: decoder))
      return (AutoencoderConfiguration(.tiny(.taesd)), weights)
    }
  }

  private static func autoencoder(
    in folder: String, variant: String?
  ) throws -> (AutoencoderConfiguration, WeightStore) {
    let configuration = try AutoencoderConfiguration(
      ConfigurationFile(path: "\(folder)/config.json"))
    let weights = try WeightStore(
      folder: folder, stem: "diffusion_pytorch_model", variant: variant)
    return (configuration, weights.withCurrentAttentionNames())
  }

  private static func wrapped(_ error: any Error) -> ModelError {
    switch error {
    case let error as ModelError: error
    case let error as GraphError:
      ModelError(
        code: error.code == .fileUnreadable ? .fileMissing : .fileInvalid,
        message: error.message, cause: error)
    case let error as TextError:
      ModelError(
        code: error.code == .fileUnreadable ? .fileMissing : .fileInvalid,
        message: error.message, cause: error)
    default: ModelError(code: .fileInvalid, message: "\(error)", cause: error)
    }
  }
}
