package import FlowCore

/// A tensor of a graph that is made of a stored weight when the graph is compiled; before that there
/// is nothing of it in memory.
package struct DerivedTensor: Sendable {
  /// What of the weight it is.
  enum Part: Hashable, Sendable {
    /// All of it as float32.
    case floats
    /// The whole numbers of a matrix in few bits.
    case numbers(Packing)
    /// The scales of those numbers.
    case scales(Packing)
    /// The zero points of those numbers.
    case zeroPoints(Packing)

    /// What it is called in a graph.
    var word: String {
      switch self {
      case .floats: "float32"
      case .numbers: "numbers"
      case .scales: "scales"
      case .zeroPoints: "zero points"
      }
    }
  }

  /// What its elements are.
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
  /// The weight it is made of.
  package let source: Weight
  /// The rows of the weight.
  let rows: Range<Int>
  let part: Part

  /// What its elements are.
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

  /// The bytes it takes.
  package var byteCount: Int {
    switch elements {
    case .float32: 4 * shape.elementCount
    case .int8, .uint8: shape.elementCount
    case .int4, .uint4: shape.elementCount / 2
    }
  }

  /// Where the weight lies in every process, and what is made of it.
  var location: String {
    let packing =
      switch part {
      case .floats: source.typeName
      case .numbers(let packing), .scales(let packing), .zeroPoints(let packing): packing.name
      }
    return "\(source.file.path): \(part.word) of \(source.typeName), \(packing), rows \(rows)"
  }
}
