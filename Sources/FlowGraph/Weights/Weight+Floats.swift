internal import FlowCore

extension Weight {
  /// The elements in float32; for small tensors and tests, since engines read weights in place.
  ///
  /// Deltas are not applied.
  public func floats() throws(GraphError) -> [Float] {
    guard !areHalvesSwapped else {
      let half = shape[0] / 2
      return try rows(0..<half).floats() + rows(half..<shape[0]).floats()
    }
    var stored = if let blocks { floats(of: blocks) } else { try storedFloats() }
    for scale in try readableScales() {
      let factors = try scale.floats()
      let rowCount = factors.count == 1 ? 1 : storedShape[0]
      let width = max(stored.count / max(rowCount, 1), 1)
      for index in stored.indices { stored[index] *= factors[index / width] }
    }
    if let groupSize = rounding?.groupSize {
      HadamardRotation.turn(&stored, groupSize: groupSize)
    }
    guard isTransposed else { return stored }
    return (0..<shape[0]).flatMap { row in
      (0..<shape[1]).map { column in stored[column * shape[0] + row] }
    }
  }

  private func floats(of blocks: BlockFormat) -> [Float] {
    var floats = [Float](repeating: 0, count: shape.elementCount)
    var span = floats.mutableSpan
    file.withBytes(offset..<offset + byteCount) { blocks.decode($0, into: &span) }
    return floats
  }

  private func storedFloats() throws(GraphError) -> [Float] {
    let type = try readableType()
    let bytes = file.bytes(offset..<offset + byteCount)
    func word<Word: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
      _ index: Int, _: Word.Type
    ) -> Word {
      let offset = index * MemoryLayout<Word>.size
      // The span checks that the word is in bounds.
      return Word(
        littleEndian: unsafe bytes.span.bytes.unsafeLoadUnaligned(
          fromByteOffset: offset, as: Word.self))
    }
    let indices = 0..<shape.elementCount
    switch type {
    case .float32: return indices.map { Float(bitPattern: word($0, UInt32.self)) }
    case .bfloat16: return indices.map { Float(bitPattern: UInt32(word($0, UInt16.self)) << 16) }
    case .float16: return indices.map { Self.float(ofHalf: word($0, UInt16.self)) }
    case .float8E5M2: return bytes.map { Self.float(ofHalf: UInt16($0) << 8) }
    case .float8E4M3: return bytes.map(Self.float(ofE4M3:))
    case .float64: return indices.map { Float(Double(bitPattern: word($0, UInt64.self))) }
    case .uint8, .bool: return indices.map { Float(bytes[$0]) }
    case .int8: return indices.map { Float(Int8(bitPattern: bytes[$0])) }
    case .uint16: return indices.map { Float(word($0, UInt16.self)) }
    case .uint32: return indices.map { Float(word($0, UInt32.self)) }
    case .uint64: return indices.map { Float(word($0, UInt64.self)) }
    case .int16: return indices.map { Float(Int16(bitPattern: word($0, UInt16.self))) }
    case .int32: return indices.map { Float(Int32(bitPattern: word($0, UInt32.self))) }
    case .int64: return indices.map { Float(Int64(bitPattern: word($0, UInt64.self))) }
    }
  }

  /// The value of a `float16` bit pattern; not every system has the type.
  static func float(ofHalf bits: UInt16) -> Float {
    if bits & 0x7c00 == 0x7c00 {
      return bits & 0x3ff == 0 ? (bits >> 15 == 0 ? .infinity : -.infinity) : .nan
    }
    // The bits shifted into the exponent and mantissa of a Float represent the number times 2^-112.
    let magnitude = Float(bitPattern: UInt32(bits & 0x7fff) << 13) * 0x1p112
    return bits >> 15 == 0 ? magnitude : -magnitude
  }

  /// The value of an 8-bit float with 4 bits of exponent (Micikevicius et al., 2022,
  /// arXiv:2209.05433).
  private static func float(ofE4M3 bits: UInt8) -> Float {
    let sign: Float = bits >> 7 == 0 ? 1 : -1
    let (exponent, mantissa) = (Int(bits >> 3 & 0xf), Float(bits & 7))
    if bits & 0x7f == 0x7f { return .nan }
    guard exponent > 0 else { return sign * mantissa * 0x1p-9 }
    return sign * Float(sign: .plus, exponent: exponent - 10, significand: mantissa + 8)
  }
}
