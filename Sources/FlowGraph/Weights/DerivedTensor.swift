package import FlowCore

/// A tensor that is derived from a stored weight when the graph is compiled, and takes no memory
/// before that.
package struct DerivedTensor: Sendable {
  /// The derived part of the weight.
  enum Part: Hashable, Sendable {
    /// The weight in float32.
    case floats
    /// The integers of a low-bit matrix.
    case numbers(Packing)
    /// The scales of those numbers.
    case scales(Packing)
    /// The zero points of those numbers.
    case zeroPoints(Packing)

    /// The name of the part in a graph.
    var word: String {
      switch self {
      case .floats: "float32"
      case .numbers: "numbers"
      case .scales: "scales"
      case .zeroPoints: "zero points"
      }
    }
  }

  /// The element type.
  package enum Elements: String, Sendable {
    case float32
    case int8
    case uint8
    case int4
    case uint4
  }

  /// The name of the value in the graph.
  package let name: String
  /// The extents.
  package let shape: Shape
  /// The source weight.
  package let source: Weight
  /// The rows of the weight.
  let rows: Range<Int>
  let part: Part

  /// The element type.
  package var elements: Elements {
    switch part {
    case .floats, .scales, .zeroPoints: .float32
    case .numbers(let packing):
      switch (packing.bitCount, packing.hasZeroPoints) {
      case (4, false): .int4
      case (4, true): .uint4
      case (_, false): .int8
      case (_, true): .uint8
      }
    }
  }

  /// The size in bytes.
  package var byteCount: Int {
    switch elements {
    case .float32: 4 * shape.elementCount
    case .int8, .uint8: shape.elementCount
    case .int4, .uint4: shape.elementCount / 2
    }
  }

  /// The location of the weight, the same in every process, and the derived part.
  var location: String {
    let packing =
      switch part {
      case .floats: source.typeName
      case .numbers(let packing), .scales(let packing), .zeroPoints(let packing): packing.name
      }
    return "\(source.file.path): \(part.word) of \(source.typeName), \(packing), rows \(rows)"
  }
}
