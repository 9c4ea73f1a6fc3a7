internal import FlowCore
internal import Foundation

/// A file of low-rank changes to a model's layers: LoRA and similar methods, in any format that
/// kohya, LyCORIS, PEFT and diffusers write.
public struct LoRA: Sendable {
  /// The network that a change applies to.
  public enum Component: Hashable, Sendable {
    /// The UNet or the transformer.
    case network
    /// A text encoder, from 0.
    case textEncoder(Int)
    /// Unspecified in the file; detected by the layer's name.
    case unnamed

    /// The names of its folder in diffusers' layout.
    var folders: [String] {
      switch self {
      case .network: ["unet", "transformer"]
      case .textEncoder(0): ["text_encoder"]
      case .textEncoder(let index): ["text_encoder_\(index + 1)"]
      case .unnamed: []
      }
    }
  }

  /// How a change is composed of tensors.
  public enum Kind: String, Sendable, CaseIterable {
    /// Two matrices, with a third between them for convolutions (LoCon).
    case lora = "LoRA"
    /// Two such products multiplied element by element.
    case loha = "LoHa"
    /// The Kronecker product of two such matrices.
    case lokr = "LoKr"
    /// The difference itself.
    case difference = "full difference"
  }

  /// The change of one layer.
  public struct Module: Sendable {
    /// The network.
    public let component: Component
    /// The layer's name in the file.
    public let layer: String
    /// The kind of change.
    public let kind: Kind
    /// The rank, if the kind has one.
    public let rank: Int?
    /// Whether magnitudes are learned separately from directions (DoRA).
    public let hasMagnitude: Bool
    /// The width of the tensors that read the layer's input, for error messages.
    public let inputWidth: Int?
    /// The names of the tensors that change the weight.
    let weightTensors: [String]
    let weight: WeightDelta?
    /// The name of the tensor that changes the bias.
    let biasTensor: String?
    let bias: WeightDelta?
  }

  /// The file.
  public let path: String
  /// The changes, in order of their names.
  public let modules: [Module]
  /// The tensors of unknown form.
  public let unknownTensors: [String]
  /// The number of tensors, without those of modules of rank 0, which are empty.
  public let tensorCount: Int
  /// The number of modules of rank 0, which change nothing and are ignored.
  public let emptyModuleCount: Int
  /// The adapter's name, if the tensors' names contain one.
  public let adapter: String?
  /// The identity of the file.
  let identity: String

  /// The file's name.
  public var name: String { URL(filePath: path).lastPathComponent }

  /// Maps a file and finds its modules; other files have none.
  public init(path: String) throws(GraphError) {
    let file = try Safetensors(path: path)
    let settings = try AdapterSettings(metadata: file.metadata, path: path)
    struct Key: Hashable {
      let component: Component
      let layer: String
    }
    var parts: [Key: [LoRAName.Part: Weight]] = [:]
    var unknown: [String] = []
    var adapters: Set<String> = []
    for (tensorName, weight) in file.tensors.sorted(by: { $0.key < $1.key }) {
      guard let name = LoRAName(tensorName) else {
        unknown.append(tensorName)
        continue
      }
      if let adapter = name.adapter { adapters.insert(adapter) }
      let key = Key(component: name.component, layer: name.layer)
      guard parts[key]?[name.part] == nil else {
        unknown.append(tensorName)
        continue
      }
      parts[key, default: [:]][name.part] = weight
    }
    guard adapters.count <= 1 else {
      let names = adapters.sorted().map { "'\($0)'" }.joined(separator: ", ")
      throw GraphError(
        code: .weightsInvalid,
        message:
          "'\(path)' holds \(adapters.count) adapters (\(names)), expected one; save each to "
          + "a file of its own, as PEFT's save_pretrained does with selected_adapters")
    }
    var modules: [Module] = []
    var emptyTensorCount = 0
    var emptyModuleCount = 0
    for (key, tensors) in parts.sorted(by: { $0.key.layer < $1.key.layer }) {
      guard tensors.values.allSatisfy({ $0.shape.elementCount > 0 }) else {
        emptyTensorCount += tensors.count
        emptyModuleCount += 1
        continue
      }
      var parts = ModuleParts(tensors)
      if let module = try parts.module(
        component: key.component, layer: key.layer, settings: settings)
      {
        modules.append(module)
      }
      unknown += parts.left
    }
    self.path = path
    self.modules = modules
    unknownTensors = unknown.sorted()
    tensorCount = file.tensors.count - emptyTensorCount
    self.emptyModuleCount = emptyModuleCount
    adapter = adapters.first
    identity = file.identity
  }
}
