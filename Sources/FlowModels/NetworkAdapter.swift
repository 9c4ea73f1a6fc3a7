package import FlowCore
package import FlowGraph

/// Something that is attached to a network: a ControlNet, a T2I-Adapter, an IP-Adapter.
package protocol NetworkAdapter: Sendable {
  /// Adds its inputs to the graph, and what it does at the network's hooks.
  ///
  /// All inputs of the network are there already, none of its layers is. Weights are told apart in a
  /// graph by their names: those of an adapter begin with its own (``ImageAdapter/name``).
  ///
  /// - Throws: a `GraphError` for weights that do not fit.
  func attach(to hooks: inout NetworkHooks) throws(GraphError)
}

/// A place in a network where adapters act.
package enum NetworkHook: Hashable, Sendable {
  /// Behind the first layer.
  case input
  /// A tensor that is kept for the way up, from the first on.
  case skip(Int)
  /// Behind the middle.
  case middle
  /// A block of the way down, from the first on, where a T2I-Adapter's features are added: behind
  /// its last attention, before it is downsampled; behind all of a block that does not attend to
  /// the text. The last tensor that the block keeps for the way up changes with it.
  case downBlock(Int)
  /// Behind a block of a transformer, from the first on.
  case block(Int)
  /// The result of an attention to the text, by the layer's name in the network, before its
  /// `to_out`; the query comes with it, both `[rows, tokens, heads * width]`.
  case crossAttention(String)
}

/// What adapters do while a network is written down.
package struct NetworkHooks {
  /// Changes a value; the query comes with that of ``NetworkHook/crossAttention(_:)``.
  package typealias Change = (_ value: Value, _ query: Value?) throws(GraphError) -> Value

  /// The graph, to which adapters add inputs.
  let graph: Graph
  /// The number of rows of a batch.
  let rows: Int
  /// The sample behind the network's first layer, before adapters change it, where the network
  /// lends it.
  let embeddedSample: Value?
  private var changes: [NetworkHook: [Change]] = [:]

  /// Attaches adapters to a graph that has all inputs of its network, and not yet the network.
  ///
  /// - Parameters:
  ///   - graph: the graph.
  ///   - rows: the number of rows of a batch.
  ///   - adapters: what is attached.
  ///   - embeddedSample: the sample behind the network's first layer.
  /// - Throws: a `GraphError` of an adapter.
  init(
    _ graph: Graph, rows: Int, adapters: [any NetworkAdapter], embeddedSample: Value? = nil
  ) throws(GraphError) {
    self.graph = graph
    self.rows = rows
    self.embeddedSample = embeddedSample
    for adapter in adapters { try adapter.attach(to: &self) }
  }

  /// An input of the network, for an adapter that is a network of its own: `sample`, `timestep`,
  /// `hidden`, and where the family has them `pooled`, `sizes` and `guidance`.
  ///
  /// Where the network reads a table in its place, the graph takes the input besides.
  ///
  /// - Parameters:
  ///   - name: its name.
  ///   - shape: what the adapter reads; nil for an input of any shape that the network reads itself.
  /// - Throws: `shapeMismatch` where the input is of another shape, or none of any shape is there.
  package func networkInput(
    _ name: PortName, shape: Shape? = nil
  ) throws(GraphError) -> Value {
    let input = graph.input(named: name)
    if input == nil, let shape { return graph.input(name, shape: shape) }
    guard let input, shape == nil || input.shape == shape else {
      throw GraphError(
        code: .shapeMismatch,
        message: "an adapter reads the network's input '\(name)'"
          + "\(shape.map { " of \($0)" } ?? ""), and the network '\(graph.name)' has "
          + "\(input.map { "\($0.shape)" } ?? "none")")
    }
    return input
  }

  /// Has a value changed at a hook, after what was attached before.
  package mutating func attach(at hook: NetworkHook, _ change: @escaping Change) {
    changes[hook, default: []].append(change)
  }

  /// Whether anything is attached at a hook.
  func acts(at hook: NetworkHook) -> Bool { changes[hook] != nil }

  /// The value at a hook, as adapters change it.
  package func callAsFunction(
    _ hook: NetworkHook, _ value: Value, query: Value? = nil
  ) throws(GraphError) -> Value {
    var value = value
    for change in changes[hook] ?? [] { value = try change(value, query) }
    return value
  }
}
