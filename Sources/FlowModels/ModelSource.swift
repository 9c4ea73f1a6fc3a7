package import FlowGraph

/// The source of a model's parts.
package enum ModelSource {
  /// A folder in diffusers' layout, with its `model_index.json`.
  case folder(String, index: ConfigurationFile)
  /// A file of the whole model, in the names of the original repositories.
  case file(String, WeightStore)

  /// The folder or the file.
  var path: String {
    switch self {
    case .folder(let path, _), .file(let path, _): path
    }
  }
}

/// The choice of a model's files.
package struct LoadOptions {
  /// The autoencoder.
  var autoencoder = AutoencoderChoice.automatic
  /// The variant in the weights' file names, such as `fp16`.
  var variant: String?
  /// The file of the network, if it is not the model's own.
  var network: ComponentFile?
  /// The files of text encoders that are not the model's own.
  var textEncoders: [TextEncoderFile] = []
}
