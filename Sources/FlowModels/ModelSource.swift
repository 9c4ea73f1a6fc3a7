package import FlowGraph

/// Where a model's parts are read from.
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

/// Which of a model's files are read.
package struct LoadOptions {
  /// The autoencoder.
  var autoencoder = AutoencoderChoice.automatic
  /// The middle of the weights' file names, such as `fp16`.
  var variant: String?
}
