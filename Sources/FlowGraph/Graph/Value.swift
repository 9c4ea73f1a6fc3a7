public import FlowCore

/// A tensor of a graph under construction: the output of an operator, and an input of others.
public struct Value {
  /// The graph of the value.
  public let graph: Graph
  /// Everything except the graph.
  ///
  /// The graph itself stores this part, to avoid a reference cycle.
  let info: Info

  struct Info {
    let name: String
    let shape: Shape
    let type: ElementType
    /// The nearest named layer before this value, for error messages.
    let layer: String
  }

  init(graph: Graph, info: Info) {
    self.graph = graph
    self.info = info
  }

  init(graph: Graph, name: String, shape: Shape, type: ElementType, layer: String) {
    self.init(graph: graph, info: Info(name: name, shape: shape, type: type, layer: layer))
  }

  /// The extents, all fixed.
  public var shape: Shape { info.shape }
  /// The element type.
  public var type: ElementType { info.type }
  var name: String { info.name }
  var layer: String { info.layer }

  func mismatch(_ operation: String, _ problem: String) -> GraphError {
    GraphError(code: .shapeMismatch, message: "\(layer): \(operation) \(problem)")
  }

  /// Checks that the output of a network has the shape that its configuration specifies.
  public func expect(_ shape: Shape, of network: String) throws(GraphError) {
    guard self.shape == shape else {
      throw GraphError(
        code: .shapeMismatch,
        message: "\(network) gives \(self.shape), expected \(shape); the weights and the "
          + "configuration belong to different models")
    }
  }

  /// Checks the number of axes.
  func expect(rank: Int, for operation: String) throws(GraphError) {
    guard shape.rank == rank else {
      throw mismatch(operation, "takes \(rank) axes, got \(shape)")
    }
  }
}
