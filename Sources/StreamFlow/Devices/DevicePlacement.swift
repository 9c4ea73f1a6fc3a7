public import FlowEngine

/// The parts of a model that have a device of their own, beside the network's.
///
/// Runs of such a part take the turn of the generator that needs them: placing the text encoders or
/// the autoencoder on the CPU leaves the memory of a GPU to the network.
public struct DevicePlacement: Sendable {
  /// A part of a model that can be placed.
  public enum Part: String, Sendable, CaseIterable {
    /// The text encoders.
    case text
    /// The autoencoder: its decoder, and the encoder of input images.
    case decoder
  }

  private var stores: [Part: EngineStore] = [:]

  /// Places nothing: all of a model is on the device of its network.
  public init() {}

  /// The engines of a part's device; nil for the network's.
  public subscript(part: Part) -> EngineStore? {
    get { stores[part] }
    set { stores[part] = newValue }
  }
}
