package import FlowGraph

/// A network input that a separate graph computes once, before the ticks.
package struct PrecomputedInput {
  /// What it depends on, which determines how often it is computed.
  package enum Dependency: Sendable {
    /// The text: computed once per prompt. The graph reads one chunk of the conditioning's first
    /// input.
    case text
    /// The timestep and the inputs that belong to it: computed once for each of them.
    case timestep
  }

  /// The name of the network's input: `texts`.
  package let name: PortName
  /// What it depends on.
  package let dependency: Dependency
  /// The graph from one row of its own inputs to `table`.
  package let graph: Graph
}
