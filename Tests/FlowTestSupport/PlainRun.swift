import FlowCore
import FlowGraph
import Foundation

/// The operators of ``PlainBackend``, each in a line or a few.
struct PlainRun {
  struct Tensor {
    var shape: [Int]
    var elements: [Float]
  }

  static let operations: Set<String> = [
    "Identity", "Cast", "Reshape", "Add", "Sub", "Mul", "Div", "Sigmoid", "Tanh", "Relu", "Exp",
    "Sin", "Cos", "MatMul", "Transpose", "ReduceSum",
  ]

  var values: [String: Tensor] = [:]
  private var integers: [String: [Int]] = [:]

  mutating func add(_ constant: Constant) {
    if constant.type == .int64 {
      integers[constant.name] = stride(from: 0, to: constant.bytes.count, by: 8).map { start in
        Int(
          truncatingIfNeeded: (0..<8).reduce(UInt64(0)) {
            $0 | UInt64(constant.bytes[start + $1]) << UInt64(8 * $1)
          })
      }
      return
    }
    let elements = stride(from: 0, to: constant.bytes.count, by: 4).map { start in
      Float(
        bitPattern: (0..<4).reduce(UInt32(0)) {
          $0 | UInt32(constant.bytes[start + $1]) << UInt32(8 * $1)
        })
    }
    values[constant.name] = Tensor(shape: constant.shape.dimensions, elements: elements)
  }

  /// - Precondition: its inputs are floats that are known.
  mutating func evaluate(_ node: Node) {
    let inputs = node.inputs.compactMap { values[$0] }
    let first = inputs[0]
    func map(_ function: (Float) -> Float) -> Tensor {
      Tensor(shape: first.shape, elements: first.elements.map(function))
    }
    values[node.outputs[0]] =
      switch node.operation {
      case "Identity", "Cast": first
      case "Reshape": Tensor(shape: integers[node.inputs[1]] ?? [], elements: first.elements)
      case "Sigmoid": map { 1 / (1 + exp(-$0)) }
      case "Tanh": map { tanh($0) }
      case "Relu": map { max($0, 0) }
      case "Exp": map { exp($0) }
      case "Sin": map { sin($0) }
      case "Cos": map { cos($0) }
      case "Add": Self.combined(first, inputs[1], +)
      case "Sub": Self.combined(first, inputs[1], -)
      case "Mul": Self.combined(first, inputs[1], *)
      case "Div": Self.combined(first, inputs[1], /)
      case "MatMul": Self.product(first, inputs[1])
      case "ReduceSum":
        Tensor(
          shape: [first.shape[0]],
          elements: (0..<first.shape[0]).map { row in
            let count = first.elements.count / first.shape[0]
            return first.elements[row * count..<(row + 1) * count].reduce(0, +)
          })
      default: Self.transposed(first)
      }
  }

  /// Element by element, extents of 1 stretched.
  private static func combined(
    _ left: Tensor, _ right: Tensor, _ function: (Float, Float) -> Float
  ) -> Tensor {
    let rank = max(left.shape.count, right.shape.count)
    let shapes = [left, right].map { [Int](repeating: 1, count: rank - $0.shape.count) + $0.shape }
    let shape = zip(shapes[0], shapes[1]).map { max($0, $1) }
    let count = shape.reduce(1, *)
    func index(_ flat: Int, _ own: [Int]) -> Int {
      var (rest, index, step) = (flat, 0, 1)
      for axis in shape.indices.reversed() {
        if own[axis] > 1 { index += rest % shape[axis] * step }
        rest /= shape[axis]
        step *= own[axis]
      }
      return index
    }
    return Tensor(
      shape: shape,
      elements: (0..<count).map {
        function(left.elements[index($0, shapes[0])], right.elements[index($0, shapes[1])])
      })
  }

  /// Of rows by a matrix.
  private static func product(_ left: Tensor, _ right: Tensor) -> Tensor {
    let (inner, width) = (right.shape[0], right.shape[1])
    let rows = left.elements.count / inner
    var elements = [Float](repeating: 0, count: rows * width)
    for row in 0..<rows {
      for column in 0..<width {
        elements[row * width + column] = (0..<inner).reduce(0) {
          $0 + left.elements[row * inner + $1] * right.elements[$1 * width + column]
        }
      }
    }
    return Tensor(shape: left.shape.dropLast() + [width], elements: elements)
  }

  /// Of a matrix.
  private static func transposed(_ matrix: Tensor) -> Tensor {
    let (rows, columns) = (matrix.shape[0], matrix.shape[1])
    return Tensor(
      shape: [columns, rows],
      elements: (0..<rows * columns).map { matrix.elements[$0 % rows * columns + $0 / rows] })
  }
}
