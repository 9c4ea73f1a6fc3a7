public import FlowCore

/// One operator of a graph.
struct Node {
  /// What an operator is told besides its inputs.
  enum Attribute {
    case integer(Int)
    case integers([Int])
    case float(Float)
    case string(String)
  }

  let operation: String
  /// The names of the inputs; an empty name leaves an optional input out.
  let inputs: [String]
  let outputs: [String]
  let attributes: [(name: String, value: Attribute)]
}

/// A tensor that a graph carries in itself.
struct Constant {
  let name: String
  let type: ElementType
  let shape: Shape
  let bytes: [UInt8]
}

/// A tensor that goes into a graph or comes out of it.
public struct Port: Hashable, Sendable {
  /// The name the engine knows it by.
  public let name: String
  /// The extents; none is left open.
  public let shape: Shape
  /// What its elements are.
  public let type: ElementType

  /// The bytes it takes.
  public var byteCount: Int { shape.elementCount * type.byteCount }
}
