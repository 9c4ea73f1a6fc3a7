public import FlowGraph

/// One of a model's networks, with its weights.
///
/// What works on all of a model (adapters, int8, memory, reports) goes over its components and knows
/// none by name.
public struct Component: Sendable {
  /// What a network is for.
  public enum Role: Hashable, Sendable {
    /// The network whose velocity is followed.
    case network
    /// A text encoder, from 0.
    case textEncoder(Int)
    /// The autoencoder between latents and pixels.
    case autoencoder
  }

  /// What it is for.
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
  /// The component of a role, or nil where the model has none.
  public func component(_ role: Component.Role) -> Component? {
    components.first { $0.role == role }
  }

  /// The weights of a component.
  ///
  /// - Precondition: the model has one of that role.
  package func weights(of role: Component.Role) -> WeightStore {
    guard let component = component(role) else {
      preconditionFailure("\(name) has no component \(role)")
    }
    return component.weights
  }

  /// The name of a component.
  ///
  /// - Precondition: the model has one of that role.
  package func name(of role: Component.Role) -> String {
    guard let component = component(role) else {
      preconditionFailure("\(name) has no component \(role)")
    }
    return component.name
  }

  /// Gives a component other weights.
  package mutating func setWeights(_ weights: WeightStore, of role: Component.Role) {
    for index in components.indices where components[index].role == role {
      components[index].weights = weights
    }
  }

  /// The weights of the network.
  public var networkWeights: WeightStore { weights(of: .network) }
  /// The weights of the autoencoder.
  public var autoencoderWeights: WeightStore { weights(of: .autoencoder) }

  /// The identities of all its weights, by which its engines are found in a cache.
  public var weightIdentities: Set<String> { Set(components.flatMap(\.weights.identity)) }
}
