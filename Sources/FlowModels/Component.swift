public import FlowGraph

/// One of a model's networks, with its weights.
///
/// Features that work on all of a model (adapters, int8, memory, reports) iterate over its
/// components without knowing their names.
public struct Component: Sendable {
  /// The purpose of a component.
  public enum Role: Hashable, Sendable {
    /// The denoising network.
    case network
    /// A text encoder, from 0.
    case textEncoder(Int)
    /// The autoencoder between latents and pixels.
    case autoencoder
  }

  /// Its purpose.
  public let role: Role
  /// Its folder in diffusers' layout: `unet`, `text_encoder_2`, `vae`.
  public let name: String
  /// Its class, as diffusers names it.
  public let architecture: String
  /// Its weights.
  public internal(set) var weights: WeightStore

  init(_ role: Role, name: String, architecture: String, weights: WeightStore) {
    self.role = role
    self.name = name
    self.architecture = architecture
    self.weights = weights
  }
}

extension Checkpoint {
  /// The component with a role, or nil if the model has none.
  public func component(_ role: Component.Role) -> Component? {
    components.first { $0.role == role }
  }

  /// The weights of a component.
  ///
  /// - Precondition: the model has a component with that role.
  package func weights(of role: Component.Role) -> WeightStore {
    guard let component = component(role) else {
      preconditionFailure("\(name) has no component \(role)")
    }
    return component.weights
  }

  /// The name of a component.
  ///
  /// - Precondition: the model has a component with that role.
  package func name(of role: Component.Role) -> String {
    guard let component = component(role) else {
      preconditionFailure("\(name) has no component \(role)")
    }
    return component.name
  }

  /// Replaces the weights of a component.
  package mutating func setWeights(_ weights: WeightStore, of role: Component.Role) {
    for index in components.indices where components[index].role == role {
      components[index].weights = weights
    }
  }

  /// The weights of the network.
  public var networkWeights: WeightStore { weights(of: .network) }
  /// The weights of the autoencoder.
  public var autoencoderWeights: WeightStore { weights(of: .autoencoder) }

  /// The identities of all its weights, which identify its engines in a cache.
  public var weightIdentities: Set<String> {
    Set(
      components.flatMap(\.weights.identity)
        + adapters.flatMap { $0.adapter.weightStores.flatMap(\.identity) })
  }
}
