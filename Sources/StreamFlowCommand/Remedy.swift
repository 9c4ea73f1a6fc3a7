internal import FlowHub
internal import FlowModels
internal import StreamFlow

/// Adds the command's options to errors of the libraries.
enum Remedy {
  /// An error's message, with the options that fix it.
  static func words(_ error: any Error) -> String {
    words("\(error)", options(error))
  }

  /// A message, with the options of the settings that it refers to.
  static func words(_ text: String, _ settings: ModelError.Setting...) -> String {
    words(text, settings.flatMap(options))
  }

  private static func words(_ text: String, _ options: [String]) -> String {
    options.isEmpty ? text : "\(text) (\(options.joined(separator: ", ")))"
  }

  /// The command's options for what an error refers to.
  static func options(_ error: any Error) -> [String] {
    switch error {
    case let error as ModelError: error.settings.flatMap(options)
    case let error as HubError: error.settings.map(option)
    case let error as any OptionalTargetError: error.options
    default: []
    }
  }

  /// The command's options for a setting of a model or a request.
  static func options(_ setting: ModelError.Setting) -> [String] {
    switch setting {
    case .model: ["--model"]
    case .download(let model, let revision):
      [
        "`streamflow pull \(model.map { "\($0)" } ?? "org/name")"
          + "\(revision.map { " --revision \($0)" } ?? "")`"
      ]
    case .packageFolder: ["`make install`"]
    case .autoencoder: ["--vae"]
    case .upscaler: ["--upscaler", "--scale"]
    case .network: ["--transformer"]
    case .textEncoder: ["--text-encoder"]
    case .variant: ["--variant"]
    case .adapters: ["--lora"]
    case .adapterMode: ["--adapter-mode"]
    case .references: ["--reference", "--reference-area"]
    case .skipLayers: ["--skip-layers"]
    case .deltaWeights: ["--delta-weights"]
    case .quantization: ["`streamflow quantize`"]
    case .keyDownsampling: ["--key-downsampling"]
    case .schedule: ["--schedule", "`streamflow configure`"]
    case .promptSyntax: ["--prompt-syntax plain"]
    case .size: ["--width", "--height"]
    case .rowCapacity: ["--batch-size"]
    case .tileSize: ["--vae-tile"]
    case .frameBuffer: ["--frame-buffer"]
    case .decodeBatch: ["--decode-batch"]
    case .share: ["--rank", "--world"]
    }
  }

  /// The options of `streamflow pull` for a setting.
  static func option(_ setting: HubError.Setting) -> String {
    switch setting {
    case .revision: "--revision"
    case .files: "--include"
    }
  }
}
