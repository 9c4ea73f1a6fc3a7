public import FlowCore

/// A tensor in a weights file: its location, shape and type; the elements are not read yet.
public struct Weight: Sendable {
  /// The name in the file, or its replacement.
  public private(set) var name: String
  /// The element type in the file's spelling, such as `F16`.
  public let typeName: String
  /// The element type, or nil if it is not supported.
  public let type: ElementType?
  /// The extents.
  public private(set) var shape: Shape
  /// The size in bytes.
  public private(set) var byteCount: Int
  /// The changes that are added to it in a graph.
  public private(set) var deltas: [WeightDelta] = []
  /// The factor of the stored elements, as in ComfyUI's scaled 8-bit floats: one number, or one for
  /// each stored row.
  ///
  /// The list has at most one tensor.
  private(set) var scales: [Weight] = []
  /// Whether the file stores it with its two axes exchanged.
  private(set) var isTransposed = false
  /// Whether the file stores the second half of its rows before the first.
  private(set) var areHalvesSwapped = false
  /// The meaning of its scaled 8-bit integers, if it has any.
  private(set) var rounding: Rounding?
  /// The block format of its elements, if it has one.
  let blocks: BlockFormat?
  /// The file of the tensor.
  let file: MappedFile
  /// The offset in bytes from the start of the file.
  private(set) var offset: Int

  /// The meaning of scaled 8-bit integers.
  enum Rounding: Hashable, Sendable {
    /// The weights.
    case plain
    /// The weights with the groups of each row rotated (``HadamardRotation``).
    case rotated(groupSize: Int)

    /// The number of weights that are rotated together; nil if none are.
    var groupSize: Int? { if case .rotated(let size) = self { size } else { nil } }
  }

  init(
    name: String, typeName: String, shape: Shape, file: MappedFile, bytes: Range<Int>,
    blocks: BlockFormat? = nil
  ) {
    self.name = name
    self.typeName = typeName
    type = ElementType(rawValue: typeName)
    self.blocks = blocks
    self.shape = shape
    self.file = file
    offset = bytes.lowerBound
    byteCount = bytes.count
  }

  /// The extents in the file.
  var storedShape: Shape { isTransposed ? Shape(shape.dimensions.reversed()) : shape }

  private func with(_ change: (inout Weight) -> Void) -> Weight {
    var weight = self
    change(&weight)
    return weight
  }

  /// The same tensor under another name.
  public func named(_ name: String) -> Weight { with { $0.name = name } }

  /// The same tensor with another delta.
  func adding(_ delta: WeightDelta) -> Weight { with { $0.deltas.append(delta) } }

  /// The same tensor, with its elements multiplied by a scale.
  ///
  /// - Parameters:
  ///   - scale: one number, or one for each row.
  ///   - rounding: the meaning of integers; nil for floating-point numbers.
  func scaled(by scale: Weight, rounding: Rounding? = nil) -> Weight {
    with { ($0.scales, $0.rounding) = ([scale], rounding) }
  }

  /// The same tensor with its axes in the order of the file.
  var asStored: Weight { with { ($0.shape, $0.isTransposed) = (storedShape, false) } }

  /// The same tensor without changes.
  var withoutDeltas: Weight { with { $0.deltas = [] } }

  /// The same elements in the same order with another shape.
  public func reshaped(_ shape: Shape) throws(GraphError) -> Weight {
    guard shape.elementCount == self.shape.elementCount, !isTransposed,
      rounding == nil || shape == self.shape,
      !areHalvesSwapped || shape.dimensions.first == self.shape[0],
      scales.allSatisfy({ $0.shape.elementCount == 1 || shape.dimensions.first == self.shape[0] })
    else { throw mismatch("cannot be reshaped to \(shape)") }
    return with { $0.shape = shape }
  }

  /// Some of the rows, which are contiguous in the file.
  public func rows(_ rows: Range<Int>) throws(GraphError) -> Weight {
    guard shape.rank > 0, !isTransposed, deltas.isEmpty, rows.lowerBound >= 0,
      rows.upperBound <= shape[0]
    else { throw mismatch("has no rows \(rows)") }
    guard !areHalvesSwapped else {
      let half = shape[0] / 2
      guard rows.upperBound <= half || rows.lowerBound >= half else {
        throw mismatch("rows \(rows) cross its two halves")
      }
      let offset = rows.upperBound <= half ? half : -half
      return try with { $0.areHalvesSwapped = false }
        .rows(rows.lowerBound + offset..<rows.upperBound + offset)
    }
    guard hasSeparateRows else { throw mismatch("its rows share blocks of \(typeName)") }
    let rowByteCount = shape[0] > 0 ? byteCount / shape[0] : 0
    let scales = try scales.map { scale throws(GraphError) in
      scale.shape.elementCount == 1
        ? scale : try scale.reshaped([scale.shape.elementCount]).rows(rows)
    }
    return with {
      $0.scales = scales
      $0.shape = shape.replacing(0, with: rows.count)
      $0.offset += rows.lowerBound * rowByteCount
      $0.byteCount = rows.count * rowByteCount
    }
  }

  /// The tensor with its two halves of rows swapped.
  ///
  /// - Throws: `shapeMismatch` if its row count is odd.
  public func halvesSwapped() throws(GraphError) -> Weight {
    guard shape.rank > 0, shape[0].isMultiple(of: 2), !isTransposed, deltas.isEmpty else {
      throw mismatch("its rows have no halves to swap")
    }
    return with { $0.areHalvesSwapped.toggle() }
  }

  /// The tensor with its two axes exchanged.
  public func transposed() throws(GraphError) -> Weight {
    guard shape.rank == 2, deltas.isEmpty, !areHalvesSwapped else {
      throw mismatch("does not have two axes to exchange")
    }
    return with {
      $0.shape = [shape[1], shape[0]]
      $0.isTransposed.toggle()
    }
  }

  /// The type of the elements.
  ///
  /// - Throws: `typeUnsupported` if it is not supported.
  func readableType() throws(GraphError) -> ElementType {
    guard let type else {
      throw GraphError(
        code: .typeUnsupported,
        message: "'\(file.path)': '\(name)' is stored as \(typeName), which is not supported; "
          + "convert the file to F32, F16, BF16 or F8_E4M3")
    }
    return type
  }

  /// The element type that a graph reads: blocks become float32.
  ///
  /// - Throws: `typeUnsupported` for unsupported types and for integers.
  func floatingPointType() throws(GraphError) -> ElementType {
    let type = isExpanded ? .float32 : try readableType()
    guard type.isFloatingPoint else {
      throw GraphError(
        code: .typeUnsupported,
        message: "'\(file.path)': '\(name)' is stored as \(typeName) where "
          + "floating-point weights belong; of quantized integer weights only ComfyUI's int8_tensorwise is "
          + "supported, use a file in F16, BF16 or F8_E4M3")
    }
    return type
  }

  /// The scale of the elements.
  ///
  /// - Throws: `typeUnsupported` unless it is one number or one for each row.
  func readableScales() throws(GraphError) -> [Weight] {
    for scale in scales {
      let count = scale.shape.elementCount
      guard scale.type?.isFloatingPoint == true,
        count == 1 || (storedShape.rank > 0 && count == storedShape[0])
      else {
        throw GraphError(
          code: .typeUnsupported,
          message: "'\(file.path)': '\(name)' is \(storedShape) and its scale '\(scale.name)' is "
            + "\(scale.shape) of \(scale.typeName), which is not supported; expected one number, or "
            + "one for each row; use a file in F16 or BF16 instead")
      }
    }
    return scales
  }

  /// Whether a graph reads derived floats instead of the stored elements.
  var isExpanded: Bool { blocks != nil || rounding != nil }

  /// Whether its elements are plain integers.
  public var isInteger: Bool { !isExpanded && type?.isFloatingPoint == false }

  /// Whether each row begins at a byte or block boundary.
  var hasSeparateRows: Bool {
    guard let blocks, shape.rank > 0, shape[0] > 0 else { return true }
    return (shape.elementCount / shape[0]).isMultiple(of: blocks.elementCount)
  }

  private func mismatch(_ problem: String) -> GraphError {
    GraphError(
      code: .shapeMismatch,
      message: "'\(file.path)': '\(name)' is \(shape) and \(problem)")
  }
}
