public import FlowEngine
internal import FlowGraph
internal import FlowModels

/// The parts of a model that have a device of their own, beside the network's.
///
/// Runs of such a part take the turn of the generator that needs them: placing the text encoders or
/// the autoencoder on the CPU leaves the memory of a GPU to the network.
///
/// ```swift
/// var placement = DevicePlacement()
/// placement.overflow = DevicePlacement.Overflow(memoryByteCount: 8 << 30, device: .standard)
/// let model = try await ImageModel.load("sd15", devices: [gpu], placement: placement)
/// ```
public struct DevicePlacement: Sendable {
  /// A part of a model that can be placed.
  public enum Part: String, Sendable, CaseIterable {
    /// The text encoders.
    case text
    /// The autoencoder: its decoder, and the encoder of input images.
    case decoder
  }

  /// The device of parts that do not fit in the memory of the network's device.
  public struct Overflow: Sendable {
    /// The memory in bytes of the network's device; of several, of the smallest.
    public var memoryByteCount: Int
    /// The engines of the other device, such as the CPU's.
    public var device: EngineStore

    /// Creates an overflow.
    public init(memoryByteCount: Int, device: EngineStore) {
      (self.memoryByteCount, self.device) = (memoryByteCount, device)
    }
  }

  private var stores: [Part: EngineStore] = [:]
  /// The device of unplaced parts that do not fit in the memory of the network's device; nil keeps
  /// them there.
  ///
  /// Live streams do not use it.
  public var overflow: Overflow?

  /// Places nothing: all of a model is on the device of its network.
  public init() {}

  /// The engines of a part's device; nil for the network's.
  public subscript(part: Part) -> EngineStore? {
    get { stores[part] }
    set { stores[part] = newValue }
  }

  /// The parts that have a device of their own.
  public var parts: [Part] { Part.allCases.filter { stores[$0] != nil } }

  /// The placement of a model, without an overflow: parts that do not fit have its device.
  ///
  /// - Parameters:
  ///   - checkpoint: the model.
  ///   - device: the network's device.
  ///   - precision: the precision of the network's device.
  func resolved(
    for checkpoint: Checkpoint, on device: DeviceName, _ precision: EngineOptions.Precision
  ) -> DevicePlacement {
    var placement = self
    placement.overflow = nil
    guard let overflow else { return placement }
    // A part that was placed on the network's device takes its memory and stays.
    let present = Part.allCases.filter { stores[$0] == nil || stores[$0]?.device == device }
    let movable = present.filter { stores[$0] == nil }
    for part in checkpoint.parts(
      movable, of: present, beyond: overflow.memoryByteCount, precision)
    {
      placement[part] = overflow.device
    }
    return placement
  }
}

extension Checkpoint {
  /// The share of a device's memory that weights may take; the rest is for activations.
  private static let weightsShare = 0.75

  /// The parts that do not fit in a device's memory beside the network.
  ///
  /// - Parameters:
  ///   - movable: the parts that may leave the device, the first of them first.
  ///   - present: the parts that are on the device.
  ///   - memoryByteCount: the device's memory.
  ///   - precision: the device's precision.
  func parts(
    _ movable: [DevicePlacement.Part], of present: [DevicePlacement.Part],
    beyond memoryByteCount: Int, _ precision: EngineOptions.Precision
  ) -> [DevicePlacement.Part] {
    func byteCount(_ part: DevicePlacement.Part?) -> Int {
      let stores: [WeightStore] =
        components.filter { DevicePlacement.Part($0.role) == part }.map(\.weights)
        + (part == nil ? adapters.flatMap(\.adapter.weightStores) : [])
      return stores.reduce(0) { sum, store in
        if store.quantization != nil { return sum + store.parameterCount }
        let stored = store.engineByteCount(in: store.compressionForm)
        return sum + (precision == .float32 ? stored : min(stored, 2 * store.parameterCount))
      }
    }
    let room = Int(Double(memoryByteCount) * Self.weightsShare)
    var need = present.reduce(byteCount(nil)) { $0 + byteCount($1) }
    var leaving: [DevicePlacement.Part] = []
    for part in movable where need > room {
      leaving.append(part)
      need -= byteCount(part)
    }
    return leaving
  }
}

extension DevicePlacement.Part {
  /// The part of a component; nil for the network.
  fileprivate init?(_ role: Component.Role) {
    switch role {
    case .network: return nil
    case .textEncoder: self = .text
    case .autoencoder: self = .decoder
    }
  }
}
