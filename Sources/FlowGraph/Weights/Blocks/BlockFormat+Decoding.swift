internal import FlowCore

extension BlockFormat {
  /// Calls a closure with each block in order.
  ///
  /// - Parameters:
  ///   - bytes: complete blocks.
  ///   - body: called with the block's index and its decoded content.
  func forEachBlock(in bytes: RawSpan, _ body: (Int, borrowing DecodedBlock) -> Void) {
    var block = DecodedBlock()
    for index in 0..<bytes.byteCount / byteCount {
      let start = index * byteCount
      decode(bytes.extracting(start..<start + byteCount), into: &block)
      body(index, block)
    }
  }

  /// Decodes the weights of a tensor.
  func decode(_ bytes: RawSpan, into floats: inout MutableSpan<Float>) {
    var block = DecodedBlock()
    let (elementCount, groupSize, hasMinimums) = (elementCount, groupSize, hasMinimums)
    for index in 0..<bytes.byteCount / byteCount {
      let start = index * byteCount
      decode(bytes.extracting(start..<start + byteCount), into: &block)
      let (numbers, scales, minimums) = (
        block.numbers.span, block.scales.span, block.minimums.span
      )
      let first = index * elementCount
      for group in 0..<elementCount / groupSize {
        let (scale, minimum) = (scales[group], minimums[group])
        for element in group * groupSize..<(group + 1) * groupSize {
          let product = scale * Float(numbers[element])
          // Adding 0 would change -0 to 0.
          floats[first + element] = hasMinimums ? product + minimum : product
        }
      }
    }
  }

  private func decode(_ bytes: RawSpan, into block: inout DecodedBlock) {
    switch self {
    case .q8:
      block.scales[0] = bytes.half(at: 0)
      for element in 0..<32 { block.numbers[element] = Int8(bitPattern: bytes[2 + element]) }
    case .q4:
      block.scales[0] = bytes.half(at: 0)
      Self.decodeHalves(bytes, at: 2, from: 0, width: 16, into: &block)
      for element in 0..<32 { block.numbers[element] -= 8 }
    case .q4Minimum:
      block.scales[0] = bytes.half(at: 0)
      block.minimums[0] = bytes.half(at: 2)
      Self.decodeHalves(bytes, at: 4, from: 0, width: 16, into: &block)
    case .q5:
      block.scales[0] = bytes.half(at: 0)
      Self.decodeHalves(bytes, at: 6, from: 0, width: 16, into: &block)
      Self.addFifthBits(bytes, at: 2, into: &block)
      for element in 0..<32 { block.numbers[element] -= 16 }
    case .q5Minimum:
      block.scales[0] = bytes.half(at: 0)
      block.minimums[0] = bytes.half(at: 2)
      Self.decodeHalves(bytes, at: 8, from: 0, width: 16, into: &block)
      Self.addFifthBits(bytes, at: 4, into: &block)
    case .q4K:
      Self.decodeScales(bytes, into: &block)
      for pair in 0..<4 {
        Self.decodeHalves(bytes, at: 16 + 32 * pair, from: 64 * pair, width: 32, into: &block)
      }
    case .q5K:
      Self.decodeScales(bytes, into: &block)
      for pair in 0..<4 {
        Self.decodeHalves(bytes, at: 48 + 32 * pair, from: 64 * pair, width: 32, into: &block)
      }
      for element in 0..<256 {
        let bit = bytes[16 + element % 32] >> UInt8(element / 32) & 1
        block.numbers[element] |= Int8(bit << 4)
      }
    case .q6K: Self.decodeSixBits(bytes, into: &block)
    }
  }

  /// The lower halves of bytes, followed by their upper halves.
  private static func decodeHalves(
    _ bytes: RawSpan, at start: Int, from first: Int, width: Int,
    into block: inout DecodedBlock
  ) {
    for element in 0..<width {
      let byte = bytes[start + element]
      block.numbers[first + element] = Int8(byte & 0xf)
      block.numbers[first + width + element] = Int8(byte >> 4)
    }
  }

  /// Adds the fifth bits of 32 numbers.
  private static func addFifthBits(
    _ bytes: RawSpan, at start: Int, into block: inout DecodedBlock
  ) {
    for element in 0..<32 {
      let bit = bytes[start + element / 8] >> UInt8(element % 8) & 1
      block.numbers[element] |= Int8(bit << 4)
    }
  }

  /// The scales and minimums of eight groups: 6 bits each, in 12 bytes after the two factors that
  /// all groups share.
  private static func decodeScales(_ bytes: RawSpan, into block: inout DecodedBlock) {
    let (scale, minimum) = (bytes.half(at: 0), bytes.half(at: 2))
    for group in 0..<4 {
      let (low, middle, high) = (bytes[4 + group], bytes[8 + group], bytes[12 + group])
      block.scales[group] = scale * Float(low & 0x3f)
      block.minimums[group] = -(minimum * Float(middle & 0x3f))
      block.scales[group + 4] = scale * Float(high & 0xf | low >> 2 & 0x30)
      block.minimums[group + 4] = -(minimum * Float(high >> 4 | middle >> 2 & 0x30))
    }
  }

  /// Layout: 128 bytes of 4 lower bits, 64 of 2 upper bits, 16 scales of 8 bits, and their factor.
  private static func decodeSixBits(_ bytes: RawSpan, into block: inout DecodedBlock) {
    let scale = bytes.half(at: 208)
    for group in 0..<16 {
      block.scales[group] = scale * Float(Int8(bitPattern: bytes[192 + group]))
    }
    for half in 0..<2 {
      for element in 0..<128 {
        let (column, quarter) = (element % 32, UInt8(element / 32))
        let low = bytes[64 * half + element % 64] >> (4 * (quarter / 2)) & 0xf
        let high = bytes[128 + 32 * half + column] >> (2 * quarter) & 3
        block.numbers[128 * half + element] = Int8(low | high << 4) - 32
      }
    }
  }
}

extension RawSpan {
  /// A byte; the span checks the offset.
  fileprivate subscript(offset: Int) -> UInt8 {
    unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self)
  }

  /// A float16, little-endian.
  fileprivate func half(at offset: Int) -> Float {
    Weight.float(ofHalf: UInt16(self[offset]) | UInt16(self[offset + 1]) << 8)
  }
}
