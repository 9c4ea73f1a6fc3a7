public import FlowCore

/// One operator of a graph.
package struct Node: Sendable {
  /// A parameter of an operator.
  package enum Attribute: Sendable {
    case integer(Int)
    case integers([Int])
    case float(Float)
    case string(String)
  }

  /// The arithmetic of a convolution or a product of matrices.
  package struct Work: Hashable, Sendable {
    /// Whether it is a convolution.
    package let isConvolution: Bool
    /// Floating-point operations, two for each multiply-add.
    package let operationCount: Int
    /// The shape of the first factor: the input of a convolution.
    package let left: Shape
    /// The shape of the second factor: the weight of a convolution.
    package let right: Shape
  }

  /// The name of the ONNX operator.
  package let operation: String
  /// The names of the inputs; an empty name omits an optional input.
  package let inputs: [String]
  /// The names of the outputs.
  package let outputs: [String]
  /// The attributes, by ONNX's names.
  package let attributes: [(name: String, value: Attribute)]
  /// Its arithmetic, if it is a convolution or a product of matrices.
  package var work: Work?
}

/// A tensor that a graph contains.
package struct Constant: Sendable {
  package let name: String
  package let type: ElementType
  package let shape: Shape
  /// The elements, little-endian.
  package let bytes: [UInt8]
}

/// An input or output tensor of a graph.
public struct Port: Hashable, Sendable {
  /// The port's name.
  public let name: PortName
  /// The extents, all fixed.
  public let shape: Shape
  /// The element type.
  public let type: ElementType

  /// The size in bytes.
  public var byteCount: Int { shape.elementCount * type.byteCount }
}
