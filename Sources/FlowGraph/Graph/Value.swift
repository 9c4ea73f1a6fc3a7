public import FlowCore

/// A tensor of a graph being written: what an operator gives, and the next one takes.
public struct Value {
  /// The graph it is of.
  public let graph: Graph
  /// All of it but the graph: what the graph itself keeps, which would otherwise hold itself.
  let info: Info

  struct Info {
    let name: String
    let shape: Shape
    let type: ElementType
    /// The nearest named layer that this value came through, for error messages.
    let layer: String
  }

  init(graph: Graph, info: Info) {
    self.graph = graph
    self.info = info
  }

  init(graph: Graph, name: String, shape: Shape, type: ElementType, layer: String) {
    self.init(graph: graph, info: Info(name: name, shape: shape, type: type, layer: layer))
  }

  /// The extents; none is left open.
  public var shape: Shape { info.shape }
  /// What the elements are.
  public var type: ElementType { info.type }
  var name: String { info.name }
  var layer: String { info.layer }

  func mismatch(_ operation: String, _ problem: String) -> GraphError {
    GraphError(code: .shapeMismatch, message: "\(layer): \(operation) \(problem)")
  }

  /// Checks that a whole network gives what its configuration promises.
  public func expect(_ shape: Shape, of network: String) throws(GraphError) {
    guard self.shape == shape else {
      throw GraphError(
        code: .shapeMismatch,
        message: "\(network) gives \(self.shape), expected \(shape); the weights and the "
          + "configuration are not of one model")
    }
  }

  /// Checks that the value has so many axes.
  func expect(rank: Int, for operation: String) throws(GraphError) {
    guard shape.rank == rank else {
      throw mismatch(operation, "takes \(rank) axes, got \(shape)")
    }
  }
}
