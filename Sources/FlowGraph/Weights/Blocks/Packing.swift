/// The representation of a low-bit matrix in a graph: integers, and scales shared by groups in a
/// row.
///
/// A weight is `scale * (number - zeroPoint)`. Only some file formats have zero points, which are
/// floats.
enum Packing: Hashable, Sendable {
  /// In the blocks of its file.
  case blocks(BlockFormat)
  /// In the 8-bit integers of its file, with one scale for each row of `width` weights.
  case integers(width: Int, Weight.Rounding)
  /// Rounded to 8 or 4 bits, with one scale for each group of `groupSize` weights.
  case rounded(bits: Int, groupSize: Int)

  /// The bits of a number.
  var bitCount: Int {
    switch self {
    case .blocks(let format): format.fitsFourBits ? 4 : 8
    case .integers: 8
    case .rounded(let bits, _): bits
    }
  }

  /// The number of weights in a row that share a scale.
  var groupSize: Int {
    switch self {
    case .blocks(let format): format.groupSize
    case .integers(let width, _): width
    case .rounded(_, let groupSize): groupSize
    }
  }

  /// Whether groups have a zero point.
  ///
  /// If so, the numbers are unsigned.
  var hasZeroPoints: Bool {
    if case .blocks(let format) = self { format.hasMinimums } else { false }
  }

  /// Whether numbers and scales are the file's own.
  var isStored: Bool { if case .rounded = self { false } else { true } }

  /// The size of the groups in which inputs must be rotated, if the weights are.
  var rotatedGroupSize: Int? {
    if case .integers(_, let rounding) = self { rounding.groupSize } else { nil }
  }

  /// The name of the representation in engine keys.
  var name: String {
    switch self {
    case .blocks(let format): format.rawValue
    case .integers(_, let rounding): "integers \(rounding)"
    case .rounded(let bits, let groupSize): "\(bits) bits by \(groupSize)"
    }
  }
}

/// A row of a low-bit matrix.
struct PackedRow {
  /// One number for each weight; 4-bit numbers are in the lower half of a byte.
  private(set) var numbers: [Int8]
  /// One scale for each group.
  private(set) var scales: [Float]
  /// One zero point for each group, if any.
  private(set) var zeroPoints: [Float]

  private let packing: Packing

  init(width: Int, _ packing: Packing) {
    self.packing = packing
    numbers = [Int8](repeating: 0, count: width)
    scales = [Float](repeating: 0, count: width / packing.groupSize)
    zeroPoints = packing.hasZeroPoints ? scales : []
  }

  /// The numbers in the engine's form: 4-bit numbers are packed in pairs, the first in the lower
  /// half.
  var bytes: [UInt8] {
    guard packing.bitCount == 4 else { return numbers.map { UInt8(bitPattern: $0) } }
    return (0..<numbers.count / 2).map { pair in
      UInt8(bitPattern: numbers[2 * pair]) & 0xf | UInt8(bitPattern: numbers[2 * pair + 1]) << 4
    }
  }

  /// Reads a row in its file's representation.
  ///
  /// - Throws: `typeUnsupported` if its scale cannot be read.
  mutating func take(_ row: Weight) throws(GraphError) {
    let bytes = row.offset..<row.offset + row.byteCount
    if case .blocks(let format) = packing {
      row.file.withBytes(bytes) { take($0, of: format) }
    } else {
      numbers = row.file.bytes(bytes).map { Int8(bitPattern: $0) }
      scales = try row.readableScales().first?.floats() ?? [1]
    }
  }

  private mutating func take(_ bytes: RawSpan, of format: BlockFormat) {
    let (elementCount, groupSize) = (format.elementCount, format.groupSize)
    let groupCount = elementCount / groupSize
    format.forEachBlock(in: bytes) { index, block in
      for group in 0..<groupCount {
        let (place, first) = (index * groupCount + group, group * groupSize)
        let (scale, minimum) = (block.scales[group], block.minimums[group])
        // With a scale of 0, all weights are the minimum.
        let isConstant = format.hasMinimums && scale == 0
        scales[place] = isConstant ? 1 : scale
        if format.hasMinimums { zeroPoints[place] = -minimum / scales[place] }
        for element in first..<first + groupSize {
          numbers[index * elementCount + element] = isConstant ? 0 : block.numbers[element]
        }
      }
    }
  }

  /// Rounds a row, symmetric about 0.
  ///
  /// In 8 bits the largest magnitude of a group becomes 127. In 4 bits the weight of largest
  /// magnitude becomes -8, so that all 16 numbers are used.
  ///
  /// - Returns: false if a weight is NaN or infinite.
  mutating func round(_ floats: [Float]) -> Bool {
    let (groupSize, isHalf) = (packing.groupSize, packing.bitCount == 4)
    let bounds: ClosedRange<Float> = isHalf ? -8...7 : -127...127
    for group in scales.indices {
      let range = group * groupSize..<(group + 1) * groupSize
      var extreme: Float = 0
      for element in range {
        guard floats[element].isFinite else { return false }
        if floats[element].magnitude > extreme.magnitude { extreme = floats[element] }
      }
      let scale = isHalf ? extreme / -8 : extreme.magnitude / 127
      scales[group] = scale.isNormal ? scale : 1
      for element in range {
        // Adding and subtracting 1.5 * 2^23 rounds to the nearest integer, ties to even.
        let number = (floats[element] / scales[group] + 12_582_912) - 12_582_912
        numbers[element] = Int8(min(max(number, bounds.lowerBound), bounds.upperBound))
      }
    }
    return true
  }
}
