internal import FlowGraph
internal import Foundation

/// The file of a network adapter that reads an image: a ControlNet, a T2I-Adapter or an IP-Adapter.
public struct AdapterFile: Hashable, Sendable {
  /// The kind of adapter.
  public enum Kind: String, Sendable, CaseIterable {
    /// A ControlNet: a network beside the model's own that reads a control image at every step.
    case controlNet = "controlnet"
    /// A T2I-Adapter: a network that reads a control image once.
    case t2iAdapter = "t2i-adapter"
    /// An IP-Adapter: additional cross-attention to a reference image.
    case ipAdapter = "ip-adapter"
  }

  /// A `.safetensors` file, or a folder in diffusers' layout.
  public var path: String
  /// The kind; nil to recognize it from the configuration or the names of the weights.
  public var kind: Kind?
  /// The folder of an IP-Adapter's image encoder; nil for the one beside its file.
  public var imageEncoder: String?
  /// Whether a ControlNet acts on the conditional prediction alone (guess mode).
  public var guesses = false
  /// The kind of control image that a ControlNet of several kinds reads.
  public var mode: Int?

  /// Creates the file of an adapter.
  public init(path: String, kind: Kind? = nil) {
    self.path = path
    self.kind = kind
  }
}

/// An adapter of a model.
public struct AttachedAdapter: Sendable {
  /// The name of its file or folder, by which requests name it.
  public let name: String
  /// The kind.
  public let kind: AdapterFile.Kind
  /// The path that it was read from.
  public let path: String
  package let adapter: any ImageAdapter

  /// The names of distributions of its strength over the network, such as `style`; empty for most.
  public var presets: [String] { adapter.presets }
  /// Whether the area where it acts can be limited by a mask, as that of an IP-Adapter can.
  public var readsMask: Bool { adapter.readsMask }
}

extension Checkpoint {
  /// The same model with adapters that requests may use.
  ///
  /// They do not change images whose requests name none of them.
  ///
  /// - Parameter files: the adapters; their names must differ.
  /// - Throws: a `ModelError` for a file that is not an adapter, or does not fit the model.
  public func attaching(_ files: [AdapterFile]) throws(ModelError) -> Checkpoint {
    var result = self
    for file in files {
      do {
        let kind = try file.kind ?? file.recognizedKind()
        let adapter = try opened(file, kind, name: "adapter\(result.adapters.count)")
        let name = URL(filePath: file.path).standardizedFileURL.deletingPathExtension()
          .lastPathComponent
        guard !result.adapters.contains(where: { $0.name == name }) else {
          throw ModelError(
            code: .requestInvalid,
            message: "two adapters are called '\(name)'; rename the file or folder of one")
        }
        result.adapters.append(
          AttachedAdapter(name: name, kind: kind, path: file.path, adapter: adapter))
      } catch { throw Self.wrapped(error) }
    }
    return result
  }

  private func opened(
    _ file: AdapterFile, _ kind: AdapterFile.Kind, name: String
  ) throws -> any ImageAdapter {
    if kind != .controlNet, file.guesses || file.mode != nil {
      throw ModelError(
        code: .requestInvalid,
        message: "'\(file.path)' is a \(kind.rawValue); guess mode and kinds of control images are "
          + "for ControlNets", settings: file.mode != nil ? [.adapterMode] : [])
    }
    if kind != .ipAdapter, file.imageEncoder != nil {
      throw ModelError(
        code: .requestInvalid,
        message: "'\(file.path)' is a \(kind.rawValue), which has no image encoder; that is for "
          + "IP-Adapters")
    }
    switch kind {
    case .controlNet:
      return try ControlNet.open(
        path: file.path, name: name, for: family, factor: autoencoder.factor,
        options: ControlNet.Options(guesses: file.guesses, mode: file.mode))
    case .t2iAdapter:
      return try T2IAdapter.open(
        path: file.path, name: name, for: family, factor: autoencoder.factor)
    case .ipAdapter:
      return try IPAdapter.open(
        path: file.path, name: name, for: family, encoder: file.imageEncoder,
        isMasked: true, factor: autoencoder.factor)
    }
  }
}

extension AdapterFile {
  /// The kind, recognized from the configuration beside the file, or from the names of the weights.
  ///
  /// - Throws: `fileMissing` or `fileInvalid` for an unknown kind.
  public func recognizedKind() throws(ModelError) -> Kind {
    do { return try recognized() } catch { throw Checkpoint.wrapped(error) }
  }

  private func recognized() throws -> Kind {
    var isFolder: ObjCBool = false
    guard unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      throw ModelError(
        code: .fileMissing,
        message: "there is no adapter at '\(path)'; expected a .safetensors file, or a folder in "
          + "diffusers' layout")
    }
    let folder =
      isFolder.boolValue ? path : URL(filePath: path).deletingLastPathComponent().path
    if ConfigurationFile.exists("\(folder)/config.json") {
      switch try ConfigurationFile(path: "\(folder)/config.json").text("_class_name") {
      case "ControlNetModel", "SD3ControlNetModel", "FluxControlNetModel": return .controlNet
      case "T2IAdapter": return .t2iAdapter
      default: break
      }
    }
    guard !isFolder.boolValue else {
      throw ModelError(
        code: .fileInvalid,
        message: "'\(path)' is no folder of an adapter: its config.json is absent or names neither "
          + "ControlNetModel, SD3ControlNetModel, FluxControlNetModel nor T2IAdapter")
    }
    let names = try WeightStore(file: path).weights.keys
    if names.contains(where: { $0.hasPrefix("image_proj.") || $0.hasPrefix("ip_adapter.") }) {
      return .ipAdapter
    }
    let controlNet = ["control_model.", "controlnet_", "input_hint_block."]
    if names.contains(where: { name in controlNet.contains { name.hasPrefix($0) } }) {
      return .controlNet
    }
    if names.contains(where: { $0.hasPrefix("body.") || $0.hasPrefix("adapter.body.") }) {
      return .t2iAdapter
    }
    throw ModelError(
      code: .fileInvalid,
      message:
        "'\(path)' is no adapter that is known: none of its \(names.count) tensors has a name "
        + "of a ControlNet (controlnet_..., control_model..., input_hint_block...), a T2I-Adapter "
        + "(body...) or an IP-Adapter (ip_adapter...); LoRAs are added to weights")
  }
}
