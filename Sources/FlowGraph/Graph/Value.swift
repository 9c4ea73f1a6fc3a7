public import FlowCore

/// A tensor of a graph being written: what an operator gives, and the next one takes.
public struct Value {
  let graph: Graph
  let name: String
  /// The extents; none is left open.
  public let shape: Shape
  /// What the elements are.
  public let type: ElementType
  /// The nearest named layer that this value came through, for error messages.
  let layer: String

  func mismatch(_ operation: String, _ problem: String) -> GraphError {
    GraphError(code: .shapeMismatch, message: "\(layer): \(operation) \(problem)")
  }

  /// Checks that the value has so many axes.
  func expect(rank: Int, for operation: String) throws(GraphError) {
    guard shape.rank == rank else {
      throw mismatch(operation, "takes \(rank) axes, got \(shape)")
    }
  }
}
