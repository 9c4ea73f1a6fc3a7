package import FlowCore
package import FlowGraph

/// An addition to a network: a ControlNet, a T2I-Adapter, an IP-Adapter.
package protocol NetworkAdapter: Sendable {
  /// Adds its inputs to the graph, and its operations to the network's hooks.
  ///
  /// The graph has all inputs of the network already, and none of its layers. Weights in a graph
  /// are distinguished by their names: those of an adapter begin with its own name
  /// (``ImageAdapter/name``).
  ///
  /// - Throws: a `GraphError` for weights that do not fit.
  func attach(to hooks: inout NetworkHooks) throws(GraphError)
}

/// A point in a network where adapters act.
package enum NetworkHook: Hashable, Sendable {
  /// After the first layer.
  case input
  /// A skip connection, counted from the first.
  case skip(Int)
  /// After the middle block.
  case middle
  /// A down block, counted from the first, where a T2I-Adapter's features are added: after its last
  /// attention and before downsampling, or after the whole block if it does not attend to the text.
  /// The last skip connection of the block includes them.
  case downBlock(Int)
  /// After a block of a transformer, counted from the first.
  case block(Int)
  /// The result of a cross-attention, by the layer's name in the network, before its `to_out`; the
  /// query is passed with it, both `[rows, tokens, heads * width]`.
  case crossAttention(String)
}

/// Collects the operations of adapters while a network's graph is built.
package struct NetworkHooks {
  /// Changes a value; the query is passed for ``NetworkHook/crossAttention(_:)``.
  package typealias Change = (_ value: Value, _ query: Value?) throws(GraphError) -> Value

  /// The graph, to which adapters add inputs.
  let graph: Graph
  /// The number of rows of a batch.
  let rows: Int
  /// The sample after the network's first layer, before adapters change it, if the network provides
  /// it.
  let embeddedSample: Value?
  private var changes: [NetworkHook: [Change]] = [:]

  /// Attaches adapters to a graph that has all inputs of its network, and none of its layers yet.
  ///
  /// - Parameters:
  ///   - graph: the graph.
  ///   - rows: the number of rows of a batch.
  ///   - adapters: the adapters.
  ///   - embeddedSample: the sample after the network's first layer.
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

  /// Changes the value at a hook, after all earlier changes.
  package mutating func attach(at hook: NetworkHook, _ change: @escaping Change) {
    changes[hook, default: []].append(change)
  }

  /// Whether anything is attached at a hook.
  func acts(at hook: NetworkHook) -> Bool { changes[hook] != nil }

  /// The value at a hook, as changed by the adapters.
  package func callAsFunction(
    _ hook: NetworkHook, _ value: Value, query: Value? = nil
  ) throws(GraphError) -> Value {
    var value = value
    for change in changes[hook] ?? [] { value = try change(value, query) }
    return value
  }
}
