public import FlowCore

/// A tensor in a weights file: where it is and what it looks like, its elements not yet read.
public struct Weight: Sendable {
  /// The name in the file, or the one it was given since.
  public private(set) var name: String
  /// What its elements are, as the file spells it, such as `F16`.
  public let typeName: String
  /// What its elements are, or nothing where they cannot be read.
  public let type: ElementType?
  /// The extents.
  public private(set) var shape: Shape
  /// The bytes it takes.
  public private(set) var byteCount: Int
  /// What is added to it where a graph uses it.
  public private(set) var deltas: [WeightDelta] = []
  /// What the stored elements are multiplied by, as with ComfyUI's scaled 8-bit floats: one number
  /// or one for each row as stored, in a list of at most one tensor.
  private(set) var scales: [Weight] = []
  /// Whether the file holds it with its two axes exchanged.
  private(set) var isTransposed = false
  /// Whether the file holds the second half of its rows before the first.
  private(set) var areHalvesSwapped = false
  /// What its scaled 8-bit whole numbers stand for, if it has such.
  private(set) var rounding: Rounding?
  /// How the file holds its elements in blocks, if it does.
  let blocks: BlockFormat?
  /// The file it lies in.
  let file: MappedFile
  /// Where it begins, in bytes from the start of the file.
  private(set) var offset: Int

  /// What scaled 8-bit whole numbers of a file stand for.
  enum Rounding: Hashable, Sendable {
    /// The weights.
    case plain
    /// The weights with the groups of each row rotated (``HadamardRotation``).
    case rotated(groupSize: Int)

    /// The weights that are rotated together; nil where none are.
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

  /// The extents as the file has them.
  var storedShape: Shape { isTransposed ? Shape(shape.dimensions.reversed()) : shape }

  private func with(_ change: (inout Weight) -> Void) -> Weight {
    var weight = self
    change(&weight)
    return weight
  }

  /// The same tensor under another name.
  public func named(_ name: String) -> Weight { with { $0.name = name } }

  /// The same tensor with more added to it.
  func adding(_ delta: WeightDelta) -> Weight { with { $0.deltas.append(delta) } }

  /// The same tensor, its elements multiplied by those of another.
  ///
  /// - Parameters:
  ///   - scale: one number, or one for each row.
  ///   - rounding: what whole numbers stand for; nil for floating-point numbers.
  func scaled(by scale: Weight, rounding: Rounding? = nil) -> Weight {
    with { ($0.scales, $0.rounding) = ([scale], rounding) }
  }

  /// The same tensor with its axes as the file has them.
  var asStored: Weight { with { ($0.shape, $0.isTransposed) = (storedShape, false) } }

  /// The same tensor as the file has it.
  var withoutDeltas: Weight { with { $0.deltas = [] } }

  /// The same elements in the same order under another shape.
  public func reshaped(_ shape: Shape) throws(GraphError) -> Weight {
    guard shape.elementCount == self.shape.elementCount, !isTransposed,
      rounding == nil || shape == self.shape,
      !areHalvesSwapped || shape.dimensions.first == self.shape[0],
      scales.allSatisfy({ $0.shape.elementCount == 1 || shape.dimensions.first == self.shape[0] })
    else { throw mismatch("cannot be read as \(shape)") }
    return with { $0.shape = shape }
  }

  /// Some of the rows, which lie one after another in the file.
  public func rows(_ rows: Range<Int>) throws(GraphError) -> Weight {
    guard shape.rank > 0, !isTransposed, deltas.isEmpty, rows.lowerBound >= 0,
      rows.upperBound <= shape[0]
    else { throw mismatch("has no rows \(rows)") }
    guard !areHalvesSwapped else {
      let half = shape[0] / 2
      guard rows.upperBound <= half || rows.lowerBound >= half else {
        throw mismatch("rows \(rows) do not lie in one half of it")
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

  /// The tensor with the second half of its rows before the first.
  ///
  /// - Throws: `shapeMismatch` where its rows have no halves.
  public func halvesSwapped() throws(GraphError) -> Weight {
    guard shape.rank > 0, shape[0].isMultiple(of: 2), !isTransposed, deltas.isEmpty else {
      throw mismatch("its rows have no halves to swap")
    }
    return with { $0.areHalvesSwapped.toggle() }
  }

  /// The tensor with its two axes exchanged.
  public func transposed() throws(GraphError) -> Weight {
    guard shape.rank == 2, deltas.isEmpty, !areHalvesSwapped else {
      throw mismatch("has not two axes to exchange")
    }
    return with {
      $0.shape = [shape[1], shape[0]]
      $0.isTransposed.toggle()
    }
  }

  /// The type of the elements.
  ///
  /// - Throws: `typeUnsupported` where they cannot be read.
  func readableType() throws(GraphError) -> ElementType {
    guard let type else {
      throw GraphError(
        code: .typeUnsupported,
        message: "'\(file.path)': '\(name)' is stored as \(typeName), which is not supported; "
          + "convert the file to F32, F16, BF16 or F8_E4M3")
    }
    return type
  }

  /// The type of the elements as a graph reads them: blocks become float32.
  ///
  /// - Throws: `typeUnsupported` where they cannot be read, or are no floating-point numbers.
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

  /// What the elements are multiplied by.
  ///
  /// - Throws: `typeUnsupported` where it is neither one number nor one for each row.
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

  /// Whether a graph reads floats that are made of it, not its own elements.
  var isExpanded: Bool { blocks != nil || rounding != nil }

  /// Whether its elements are whole numbers that stand for nothing but themselves.
  public var isInteger: Bool { !isExpanded && type?.isFloatingPoint == false }

  /// Whether each row begins with a byte, or a block, of its own.
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
