internal import FlowGraph
internal import Foundation

/// An adapter or weight difference, with its scale.
public struct WeightAddition: Equatable, Sendable {
  /// A safetensors file, or a folder that contains one.
  public var path: String
  /// The factor of the file's own strength.
  public var scale: Float

  /// Creates an addition.
  public init(path: String, scale: Float = 1) {
    self.path = path
    self.scale = scale
  }

  /// The file: in a folder, the one that diffusers writes, or the only one.
  func file() throws(ModelError) -> String {
    guard scale.isFinite else {
      throw ModelError(
        code: .requestInvalid, message: "the scale of '\(path)' must be a number, got \(scale)")
    }
    var isFolder: ObjCBool = false
    guard unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      throw ModelError(
        code: .fileMissing,
        message: "there is no file at '\(path)'; expected a .safetensors file or a folder of one")
    }
    guard isFolder.boolValue else { return path }
    let usual = "\(path)/pytorch_lora_weights.safetensors"
    if FileManager.default.fileExists(atPath: usual) { return usual }
    let names = ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [])
      .filter { $0.hasSuffix(".safetensors") }.sorted()
    guard names.count == 1 else {
      throw ModelError(
        code: .fileMissing,
        message: "'\(path)' holds \(names.count) .safetensors files, expected one or "
          + "pytorch_lora_weights.safetensors; name the file itself")
    }
    return "\(path)/\(names[0])"
  }
}

extension Checkpoint {
  /// The same model with adapters and weight differences applied.
  ///
  /// Nothing is computed or copied here: the changes become part of the graphs, and the engine
  /// folds them when it compiles. The result for each file is in ``additions``.
  ///
  /// - Parameters:
  ///   - loras: LoRAs and similar files, in any format; changes of the same layer add up.
  ///   - deltas: full differences under the network's own names, such as PeRFlow's; they are part
  ///     of the weights that LoRAs change.
  /// - Throws: `fileInvalid` for a file that changes nothing, or that does not match.
  public func applying(
    loras: [WeightAddition], deltas: [WeightAddition] = []
  ) throws(ModelError) -> Checkpoint {
    var result = self
    do {
      for delta in deltas {
        var weights = result.networkWeights
        let report = try DeltaWeights(path: delta.file()).apply(
          scale: delta.scale, to: &weights)
        guard report.appliedCount > 0 else { throw strange(report) }
        result.setWeights(weights, of: .network)
        result.additions.append(report)
      }
      var stores: [LoRA.Component: WeightStore] = [:]
      for component in result.components {
        if let part = component.role.adapted { stores[part] = component.weights }
      }
      let names = layerNames(stores)
      for addition in loras {
        let file = try addition.file()
        let lora = try LoRA(path: file)
        var report = try lora.apply(scale: addition.scale, to: &stores, names: names)
        report.isNamedByFolder = file != addition.path
        guard report.appliedCount > 0 else { throw strange(lora) }
        result.additions.append(report)
      }
      for component in result.components {
        guard let part = component.role.adapted, let weights = stores[part] else { continue }
        result.setWeights(weights, of: component.role)
      }
    } catch { throw Self.wrapped(error) }
    return result
  }

  private func layerNames(
    _ stores: [LoRA.Component: WeightStore]
  ) -> [LoRA.Component: LayerNames] {
    Dictionary(
      uniqueKeysWithValues: stores.map { component, store in
        guard component == .network else { return (component, LayerNames(store)) }
        return (component, LayerNames(store, parts: family.layerParts(ofOriginal:)))
      })
  }

  /// The names that identify LoRAs: the files' names, or for generic file names, those of their
  /// folders.
  var loraNames: [String] {
    additions.filter { $0.kind == .lora && $0.scale != 0 }.map { addition in
      let place = URL(filePath: addition.path).standardizedFileURL
      let isEverybodys = place.lastPathComponent == "pytorch_lora_weights.safetensors"
      // A hub's cache stores a snapshot in org--name/snapshots/commit.
      let count = isEverybodys ? 4 : addition.isNamedByFolder ? 2 : 1
      return place.pathComponents.suffix(count).joined(separator: "/").lowercased()
    }
  }

  /// The names of the weight differences.
  package var deltaNames: [String] { additions.filter { $0.kind == .delta }.map(\.name) }

  private func strange(_ lora: LoRA) -> ModelError {
    guard !lora.modules.isEmpty || lora.emptyModuleCount == 0 else {
      return ModelError(
        code: .fileInvalid,
        message: "'\(lora.path)' changes nothing: each of its modules (\(lora.emptyModuleCount)) "
          + "has rank 0; the training that wrote it failed, train or export it again")
    }
    guard !lora.modules.isEmpty else {
      return ModelError(
        code: .fileInvalid,
        message:
          "'\(lora.path)' is not a LoRA: none of its \(lora.tensorCount) tensors has a LoRA "
          + "name, such as 'unet.conv_in.lora_A.weight'; whole differences are "
          + "delta weights", settings: [.adapters, .deltaWeights])
    }
    let width = lora.textWidth.map {
      "; it is for text states of width \($0), and \(name) reads \(family.textWidth)"
    }
    return ModelError(
      code: .fileInvalid,
      message:
        "'\(lora.path)' changes nothing in \(name): none of its \(lora.modules.count) layers "
        + "is one of the model's. It holds \(lora.summary)\(width ?? ""); use a LoRA made for this "
        + "model's family, or the model that it was made for",
      settings: [.adapters, .model])
  }

  private func strange(_ report: AppliedWeights) -> ModelError {
    ModelError(
      code: .fileInvalid,
      message:
        "'\(report.path)' changes nothing in \(name): none of its \(report.tensorCount) tensors "
        + "has a name of the network's, such as 'conv_in.weight'; LoRAs are adapters",
      settings: [.deltaWeights, .adapters])
  }
}

extension Component.Role {
  /// The component's name in adapters, if they can change it.
  fileprivate var adapted: LoRA.Component? {
    switch self {
    case .network: .network
    case .textEncoder(let index): .textEncoder(index)
    case .autoencoder: nil
    }
  }
}
