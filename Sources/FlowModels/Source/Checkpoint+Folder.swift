internal import FlowGraph
internal import FlowText
internal import Foundation

extension Checkpoint {
  /// Opens a model folder in diffusers' layout.
  ///
  /// - Parameters:
  ///   - folder: the folder with `model_index.json`.
  ///   - name: the model name recorded in images; nil for the folder's name.
  ///   - autoencoder: the choice of the autoencoder.
  ///   - variant: the variant in the weights' file names, such as `fp16`.
  ///   - files: files that replace weights of its components.
  public init(
    folder: String, name: String? = nil, autoencoder: AutoencoderChoice = .automatic,
    variant: String? = nil, files: ComponentFiles = ComponentFiles()
  ) throws(ModelError) {
    var isFolder: ObjCBool = false
    guard unsafe FileManager.default.fileExists(atPath: folder, isDirectory: &isFolder) else {
      throw ModelError(
        code: .fileMissing,
        message: "there is no model at '\(folder)'; expected a folder in diffusers' layout, "
          + "a .safetensors or .gguf file, or 'starter'", settings: [.model])
    }
    guard isFolder.boolValue else {
      throw ModelError(
        code: .unsupported,
        message: "'\(folder)' is not a model file; expected a folder in diffusers' "
          + "layout (with model_index.json), or a .safetensors or .gguf file", settings: [.model])
    }
    let index = try ConfigurationFile(path: "\(folder)/model_index.json")
    let pipelineName = try index.text("_class_name") ?? "unnamed"
    guard let family = ModelFamilies.family(ofPipeline: pipelineName) else {
      throw index.unsupported(
        "_class_name",
        expected: ModelFamilies.all.flatMap { $0.pipelines }.map { "\"\($0)\"" }
          .joined(separator: " or "))
    }
    do {
      let notes = try ModelNotes(path: "\(folder)/streamflow.json")
      let options = try LoadOptions(autoencoder: autoencoder, variant: variant, files: files)
      try self.init(
        name: name ?? URL(filePath: folder).standardizedFileURL.lastPathComponent, folder: folder,
        family.open(.folder(folder, index: index), options), notes: notes)
      try options.checkUse(in: components, of: folder)
      componentFiles = files
    } catch { throw Self.wrapped(error) }
  }

  /// Opens a model in one file.
  ///
  /// - Parameters:
  ///   - file: a safetensors or GGUF file of a whole model, in the names of the original
  ///     repositories.
  ///   - autoencoder: the choice of the autoencoder; a tiny one must be in another folder.
  ///   - files: text encoders that replace those of folders beside the file.
  /// - Throws: `fileMissing`, `fileInvalid`, or `unsupported` if it is not a complete model of a
  ///   supported family.
  public init(
    file: String, autoencoder: AutoencoderChoice = .automatic,
    files: ComponentFiles = ComponentFiles()
  ) throws(ModelError) {
    let place = URL(filePath: file).standardizedFileURL
    let stem = place.deletingPathExtension().lastPathComponent
    let notes = place.deletingLastPathComponent().appending(path: "\(stem).streamflow.json")
    do {
      let store = try WeightStore(file: file)
      guard let family = ModelFamilies.family(of: store) else {
        throw ModelError(
          code: .unsupported,
          message:
            "'\(file)' is not a complete model: it has no network (\(SingleFile.network)*). A LoRA "
            + "is "
            + "an adapter, an autoencoder replaces a model's; a component in "
            + "diffusers' names needs its folder, with model_index.json",
          settings: [.model, .adapters, .autoencoder])
      }
      let options = try LoadOptions(autoencoder: autoencoder, files: files)
      try self.init(
        name: stem, folder: file, family.open(.file(file, store), options),
        notes: ModelNotes(path: notes.path))
      try options.checkUse(in: components, of: file)
      componentFiles = files
    } catch { throw Self.wrapped(error) }
  }

  /// Opens the model that is embedded in this package, or the one in the folder
  /// `$STREAMFLOW_STARTER`.
  ///
  /// - Throws: a `ModelError` if the folder is missing or damaged.
  public static func starter() throws(ModelError) -> Checkpoint {
    try Checkpoint(folder: ModelLocation("starter").path, name: "starter")
  }

  /// Opens the model that a user names, as located by ``ModelLocation``.
  public static func named(
    _ name: String, autoencoder: AutoencoderChoice = .automatic, variant: String? = nil,
    files: ComponentFiles = ComponentFiles()
  ) throws(ModelError) -> Checkpoint {
    var checkpoint = try located(name, autoencoder: autoencoder, variant: variant, files)
    checkpoint.autoencoderChoice = autoencoder
    return checkpoint
  }

  private static func located(
    _ name: String, autoencoder: AutoencoderChoice, variant: String?, _ files: ComponentFiles
  ) throws(ModelError) -> Checkpoint {
    let place = try ModelLocation(name)
    let isWeights = [".safetensors", ".gguf"].contains { place.path.hasSuffix($0) }
    guard place.kind == .file, isWeights else {
      return try Checkpoint(
        folder: place.path, name: place.name, autoencoder: autoencoder, variant: variant,
        files: files)
    }
    guard variant == nil else {
      throw ModelError(
        code: .requestInvalid,
        message:
          "a variant is a choice among the files of a folder, and '\(place.path)' is one file",
        settings: [.variant])
    }
    return try Checkpoint(file: place.path, autoencoder: autoencoder, files: files)
  }

  /// Converts an error of another module to this one's.
  static func wrapped(_ error: any Error) -> ModelError {
    switch error {
    case let error as ModelError: error
    case let error as GraphError:
      ModelError(
        code: error.code == .fileUnreadable
          ? .fileMissing : error.code == .typeUnsupported ? .unsupported : .fileInvalid,
        message: error.message, cause: error)
    case let error as TextError:
      ModelError(
        code: error.code == .fileUnreadable ? .fileMissing : .fileInvalid,
        message: error.message, cause: error)
    default: ModelError(code: .fileInvalid, message: "\(error)", cause: error)
    }
  }
}
