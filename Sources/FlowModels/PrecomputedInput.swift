package import FlowGraph

/// An input of the network that is computed once, before the ticks, by a graph of its own.
package struct PrecomputedInput {
  /// What it depends on, and so how often it is computed.
  package enum Dependency: Sendable {
    /// The text: once for each prompt. The graph reads one chunk of the conditioning's first input.
    case text
    /// The timestep, and what is read with it: once for each of them.
    case timestep
  }

  /// The input of the network: `texts`.
  package let name: PortName
  /// What it depends on.
  package let dependency: Dependency
  /// One row of the inputs that it is made of, to `table`.
  package let graph: Graph
}
