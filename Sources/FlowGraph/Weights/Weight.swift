public import FlowCore

/// A tensor in a weights file: where it is and what it looks like, its elements not yet read.
public struct Weight: Sendable {
  /// The name in the file, or the one it was given since.
  public let name: String
  /// What its elements are.
  public let type: ElementType
  /// The extents.
  public let shape: Shape
  /// What is added to it where a graph uses it.
  public let deltas: [WeightDelta]
  /// Whether the file holds it with its two axes exchanged.
  let isTransposed: Bool
  /// The file it lies in.
  let file: MappedFile
  /// Where it begins, in bytes from the start of the file.
  let offset: Int

  init(
    name: String, type: ElementType, shape: Shape, file: MappedFile, offset: Int,
    isTransposed: Bool = false, deltas: [WeightDelta] = []
  ) {
    self.name = name
    self.type = type
    self.shape = shape
    self.file = file
    self.offset = offset
    self.isTransposed = isTransposed
    self.deltas = deltas
  }

  /// The bytes it takes.
  public var byteCount: Int { shape.elementCount * type.byteCount }

  /// The extents as the file has them.
  var storedShape: Shape { isTransposed ? Shape(shape.dimensions.reversed()) : shape }

  /// The same tensor under another name.
  public func named(_ name: String) -> Weight {
    Weight(
      name: name, type: type, shape: shape, file: file, offset: offset,
      isTransposed: isTransposed, deltas: deltas)
  }

  /// The same tensor with more added to it.
  func adding(_ delta: WeightDelta) -> Weight {
    Weight(
      name: name, type: type, shape: shape, file: file, offset: offset,
      isTransposed: isTransposed, deltas: deltas + [delta])
  }

  /// The same tensor as the file has it.
  var withoutDeltas: Weight {
    Weight(
      name: name, type: type, shape: shape, file: file, offset: offset, isTransposed: isTransposed)
  }

  /// The same elements in the same order under another shape.
  public func reshaped(_ shape: Shape) throws(GraphError) -> Weight {
    guard shape.elementCount == self.shape.elementCount, !isTransposed else {
      throw mismatch("cannot be read as \(shape)")
    }
    return Weight(
      name: name, type: type, shape: shape, file: file, offset: offset, deltas: deltas)
  }

  /// Some of the rows, which lie one after another in the file.
  public func rows(_ rows: Range<Int>) throws(GraphError) -> Weight {
    guard shape.rank > 0, !isTransposed, deltas.isEmpty, rows.lowerBound >= 0,
      rows.upperBound <= shape[0]
    else { throw mismatch("has no rows \(rows)") }
    let rowByteCount = shape[0] > 0 ? byteCount / shape[0] : 0
    return Weight(
      name: name, type: type, shape: shape.replacing(0, with: rows.count), file: file,
      offset: offset + rows.lowerBound * rowByteCount)
  }

  /// The tensor with its two axes exchanged.
  public func transposed() throws(GraphError) -> Weight {
    guard shape.rank == 2, deltas.isEmpty else { throw mismatch("has not two axes to exchange") }
    return Weight(
      name: name, type: type, shape: [shape[1], shape[0]], file: file, offset: offset,
      isTransposed: !isTransposed)
  }

  private func mismatch(_ problem: String) -> GraphError {
    GraphError(
      code: .shapeMismatch,
      message: "'\(file.path)': '\(name)' is \(shape) and \(problem)")
  }
}
