internal import FlowCore
internal import Synchronization

/// The derived tensors of a module, computed row by row when their addresses are requested.
final class DerivedTensors: Sendable {
  private struct Source: Hashable {
    let name: String
    let file: ObjectIdentifier
    let offset: Int
    let rows: Range<Int>
    /// Nil if the weight becomes floats.
    let packing: Packing?
  }

  private let memories = Mutex<[Source: ScratchMemory]>([:])

  /// The address of a tensor's bytes, valid as long as this object.
  ///
  /// - Throws: `fileUnreadable` if there is not enough room, `weightsInvalid` for a matrix that
  ///   cannot be rounded.
  func address(of tensor: DerivedTensor) throws(GraphError) -> UInt {
    let packing: Packing? =
      switch tensor.part {
      case .floats: nil
      case .numbers(let packing), .scales(let packing), .zeroPoints(let packing): packing
      }
    let source = Source(
      name: tensor.source.name, file: ObjectIdentifier(tensor.source.file),
      offset: tensor.source.offset, rows: tensor.rows, packing: packing)
    if let known = memories.withLock({ $0[source] }) { return known.address + UInt(tensor.offset) }
    let made = try Self.make(tensor, packing)
    // Concurrent requests share the first result.
    let memory = memories.withLock { memories in
      let memory = memories[source] ?? made
      memories[source] = memory
      return memory
    }
    return memory.address + UInt(tensor.offset)
  }

  /// Releases the memory of temporary files' pages.
  func releasePages() {
    memories.withLock { memories in memories.values.forEach { $0.releasePages() } }
  }

  private static func make(
    _ tensor: DerivedTensor, _ packing: Packing?
  ) throws(GraphError) -> ScratchMemory {
    guard let packing else { return try expand(tensor.source) }
    return try pack(tensor.source, tensor.rows, packing)
  }

  /// The bytes that are converted at a time.
  private static let windowByteCount = 1 << 16

  private static func expand(_ weight: Weight) throws(GraphError) -> ScratchMemory {
    let memory = try ScratchMemory(byteCount: 4 * weight.shape.elementCount)
    guard let blocks = weight.blocks else {
      let stored = weight.asStored
      for row in 0..<stored.shape[0] {
        let floats = try stored.withoutDeltas.rows(row..<row + 1).floats()
        memory.write(floats.span, at: 4 * row * floats.count)
      }
      return memory
    }
    let end = weight.offset + weight.byteCount
    let step = max(windowByteCount / blocks.byteCount, 1)
    var floats = [Float](repeating: 0, count: step * blocks.elementCount)
    for start in stride(from: weight.offset, to: end, by: step * blocks.byteCount) {
      let window = start..<min(start + step * blocks.byteCount, end)
      let count = window.count / blocks.byteCount * blocks.elementCount
      let first = (start - weight.offset) / blocks.byteCount * blocks.elementCount
      var span = floats.mutableSpan
      weight.file.withBytes(window) { blocks.decode($0, into: &span) }
      memory.write(floats.span.extracting(0..<count), at: 4 * first)
    }
    return memory
  }

  private static func pack(
    _ weight: Weight, _ rows: Range<Int>, _ packing: Packing
  ) throws(GraphError) -> ScratchMemory {
    let layout = PackedLayout(rowCount: rows.count, width: weight.shape[1], packing)
    let memory = try ScratchMemory(byteCount: layout.byteCount)
    var row = PackedRow(width: weight.shape[1], packing)
    for (index, place) in rows.enumerated() {
      if packing.isStored {
        try row.take(weight.withoutDeltas.rows(place..<place + 1))
      } else if try !row.round(weight.rowOfModel(place)) {
        throw GraphError(
          code: .weightsInvalid,
          message: "'\(weight.file.path)': '\(weight.name)' holds NaN or infinity in row \(place) "
            + "and cannot be compressed; use it as it is")
      }
      memory.write(row.bytes.span, at: index * layout.numberByteCount)
      memory.write(row.scales.span, at: layout.scales + 4 * index * row.scales.count)
      memory.write(row.zeroPoints.span, at: layout.zeroPoints + 4 * index * row.zeroPoints.count)
    }
    return memory
  }
}

/// The layout of the parts of a low-bit matrix in memory.
private struct PackedLayout {
  /// The bytes of a row's numbers.
  let numberByteCount: Int
  /// The offset of the scales.
  let scales: Int
  /// The offset of the zero points.
  let zeroPoints: Int
  let byteCount: Int

  init(rowCount: Int, width: Int, _ packing: Packing) {
    func aligned(_ offset: Int) -> Int { (offset + 63) / 64 * 64 }
    numberByteCount = width * packing.bitCount / 8
    let scaleByteCount = 4 * rowCount * (width / packing.groupSize)
    scales = aligned(rowCount * numberByteCount)
    zeroPoints = aligned(scales + scaleByteCount)
    byteCount = zeroPoints + (packing.hasZeroPoints ? scaleByteCount : 0)
  }
}

extension DerivedTensor {
  /// The offset in the memory that all parts of a weight share.
  fileprivate var offset: Int {
    func layout(_ packing: Packing) -> PackedLayout {
      PackedLayout(rowCount: rows.count, width: source.shape[1], packing)
    }
    return switch part {
    case .floats, .numbers: 0
    case .scales(let packing): layout(packing).scales
    case .zeroPoints(let packing): layout(packing).zeroPoints
    }
  }
}

extension Weight {
  /// A row of the model's weight: with full differences applied, without adapters.
  fileprivate func rowOfModel(_ row: Int) throws(GraphError) -> [Float] {
    var floats = try withoutDeltas.rows(row..<row + 1).floats()
    for delta in deltas where delta.isOfModel {
      guard case .tensor(let tensor) = delta.expression else { continue }
      let factor = delta.strength * delta.scale
      let added = try tensor.rows(row..<row + 1).floats()
      for index in floats.indices { floats[index] += added[index] * factor }
    }
    return floats
  }
}
