public import FlowCore

/// One operator of a graph.
package struct Node: Sendable {
  /// What an operator is told besides its inputs.
  package enum Attribute: Sendable {
    case integer(Int)
    case integers([Int])
    case float(Float)
    case string(String)
  }

  /// The name of the ONNX operator.
  package let operation: String
  /// The names of the inputs; an empty name leaves an optional input out.
  package let inputs: [String]
  /// The names of the outputs.
  package let outputs: [String]
  /// What it is told besides its inputs, by ONNX's names.
  package let attributes: [(name: String, value: Attribute)]
}

/// A tensor that a graph carries in itself.
package struct Constant: Sendable {
  package let name: String
  package let type: ElementType
  package let shape: Shape
  /// The elements, little-endian.
  package let bytes: [UInt8]
}

/// A tensor that goes into a graph or comes out of it.
public struct Port: Hashable, Sendable {
  /// The name the engine knows it by.
  public let name: PortName
  /// The extents; none is left open.
  public let shape: Shape
  /// What its elements are.
  public let type: ElementType

  /// The bytes it takes.
  public var byteCount: Int { shape.elementCount * type.byteCount }
}
