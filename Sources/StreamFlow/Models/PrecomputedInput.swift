internal import FlowGraph

/// An input of the network that is computed once, before the ticks, by a graph of its own.
struct PrecomputedInput {
  /// What it depends on, and so how often it is computed.
  enum Dependency: Sendable {
    /// The text: once for each prompt. The graph reads one chunk of the conditioning's first input.
    case text
    /// The timestep, and what is read with it: once for each of them.
    case timestep
  }

  /// The input of the network: `texts`.
  let name: PortName
  /// What it depends on.
  let dependency: Dependency
  /// One row of the inputs that it is made of, to `table`.
  let graph: Graph
}
