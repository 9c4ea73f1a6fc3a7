internal import FlowGraph
internal import Foundation

/// Files that replace the weights of a model's components.
///
/// The model, a folder in diffusers' layout or a file with folders beside it, has the rest:
/// configurations, tokenizers, and the weights of other components.
public struct ComponentFiles: Equatable, Sendable {
  /// The transformer: a safetensors or GGUF file, in original names or in diffusers'; nil for the
  /// model's own.
  public var network: String?
  /// Text encoders, each a safetensors or GGUF file; each replaces the encoder that it fits.
  public var textEncoders: [String]

  /// Creates a choice of files.
  public init(network: String? = nil, textEncoders: [String] = []) {
    self.network = network
    self.textEncoders = textEncoders
  }

  /// The names of the files without their folders.
  package var names: (network: String?, textEncoders: [String]) {
    func name(_ path: String) -> String { URL(filePath: path).lastPathComponent }
    return (network.map(name), textEncoders.map(name))
  }
}

/// An opened file of a component's weights.
struct ComponentFile {
  let path: String
  let store: WeightStore

  init(path: String) throws {
    self.path = path
    store = try WeightStore(file: path)
  }

  /// Whether a component has the file's weights.
  func isUsed(in components: [Component]) -> Bool {
    let own = Set(store.identity)
    return components.contains { !own.isDisjoint(with: $0.weights.identity) }
  }
}

/// A text encoder in one file.
struct TextEncoderFile {
  /// The architecture of a text encoder.
  enum Kind: String {
    case clip = "CLIP"
    case t5 = "T5"
    case qwen3 = "Qwen3"
  }

  let file: ComponentFile
  let kind: Kind
  /// The width of its token embeddings.
  let width: Int

  /// - Throws: `unsupported` for a file without a known text encoder.
  init(path: String) throws {
    file = try ComponentFile(path: path)
    let shapes = file.store.shapes
    func first(_ names: [String]) -> Int? {
      names.lazy.compactMap { shapes.extent($0, 1) }.first
    }
    if let width = first([
      "text_model.embeddings.token_embedding.weight", "embeddings.token_embedding.weight",
    ]) {
      (kind, self.width) = (.clip, width)
    } else if shapes["encoder.block.0.layer.0.SelfAttention.q.weight"] != nil,
      let width = first(["shared.weight", "encoder.embed_tokens.weight"])
    {
      (kind, self.width) = (.t5, width)
    } else if shapes.keys.contains(where: { $0.hasSuffix("layers.0.self_attn.q_norm.weight") }),
      let width = first([
        "model.embed_tokens.weight", "embed_tokens.weight",
        "model.language_model.embed_tokens.weight",
      ])
    {
      (kind, self.width) = (.qwen3, width)
    } else {
      let example = shapes.keys.min().map { ", such as '\($0)'" } ?? ""
      throw ModelError(
        code: .unsupported,
        message:
          "'\(path)' has no text encoder that is supported (\(shapes.count) tensors\(example)); "
          + "expected CLIP, T5 or Qwen3", settings: [.textEncoder])
    }
  }
}

extension LoadOptions {
  /// Opens the files of components.
  ///
  /// - Throws: a `ModelError` or `GraphError` for a file that cannot be read.
  init(
    autoencoder: AutoencoderChoice, variant: String? = nil, files: ComponentFiles
  ) throws {
    self.init(autoencoder: autoencoder, variant: variant)
    network = try files.network.map { try ComponentFile(path: $0) }
    textEncoders = try files.textEncoders.map { try TextEncoderFile(path: $0) }
  }

  /// The weights of a transformer in diffusers' names: those of the chosen file, or of its folder.
  ///
  /// - Parameters:
  ///   - folder: the model's folder.
  ///   - fitted: the weights that the folder's configuration describes.
  /// - Throws: `fileInvalid` for a chosen file that does not fit the configuration.
  func networkWeights(
    in folder: String, _ fitted: (WeightStore) throws(GraphError) -> WeightStore
  ) throws -> WeightStore {
    guard let network else {
      return try fitted(
        WeightStore(
          folder: "\(folder)/transformer", stem: "diffusion_pytorch_model", variant: variant))
    }
    do { return try fitted(network.store) } catch {
      throw ModelError(
        code: Checkpoint.wrapped(error).code,
        message: "'\(network.path)' is not a transformer for '\(folder)': \(error.message)",
        settings: [.network], cause: error)
    }
  }

  /// The weights of a text encoder: those of a chosen file that it fits, or of its folder.
  ///
  /// - Parameters:
  ///   - kind: its architecture.
  ///   - folder: its folder, with its configuration.
  ///   - width: the key of its width in its configuration.
  func textWeights(
    _ kind: TextEncoderFile.Kind, in folder: String, width: String
  ) throws -> WeightStore {
    let own = try ConfigurationFile(path: "\(folder)/config.json")
    // Models of text and images have a configuration for each.
    var value = own[width]
    if case .object(let text) = own["text_config"] { value = text[width] }
    if case .integer(let width) = value,
      let chosen = textEncoders.first(where: { $0.kind == kind && $0.width == width })
    {
      return chosen.file.store.renamed {
        $0.hasSuffix("position_ids") || $0 == "logit_scale" ? nil : $0
      }
    }
    return try WeightStore(folder: folder, stem: "model", variant: variant)
  }

  /// Checks that components have the weights of all chosen files.
  ///
  /// - Throws: `unsupported` for a file that no component fits.
  func checkUse(in components: [Component], of model: String) throws(ModelError) {
    func unused(
      _ file: ComponentFile, _ what: String, _ setting: ModelError.Setting
    ) -> ModelError {
      ModelError(
        code: .unsupported,
        message:
          "'\(file.path)' \(what), and '\(model)' has no component that reads it from another "
          + "file", settings: [setting])
    }
    if let network, !network.isUsed(in: components) {
      throw unused(network, "has a network", .network)
    }
    for text in textEncoders where !text.file.isUsed(in: components) {
      throw unused(
        text.file, "has the text encoder \(text.kind.rawValue) of width \(text.width)",
        .textEncoder)
    }
  }
}
