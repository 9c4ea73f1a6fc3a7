internal import FlowCore

extension Weight {
  /// The elements as 32-bit floats; for small tensors and tests, the engine reads them in place.
  ///
  /// What is added to the weight is not among them.
  public func floats() throws(GraphError) -> [Float] {
    let stored = try storedFloats()
    guard isTransposed else { return stored }
    return (0..<shape[0]).flatMap { row in
      (0..<shape[1]).map { column in stored[column * shape[0] + row] }
    }
  }

  private func storedFloats() throws(GraphError) -> [Float] {
    let bytes = file.bytes(offset..<offset + byteCount)
    func word<Word: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
      _ index: Int, _: Word.Type
    ) -> Word {
      let offset = index * MemoryLayout<Word>.size
      // The span checks that the word lies within it.
      return Word(
        littleEndian: unsafe bytes.span.bytes.unsafeLoadUnaligned(
          fromByteOffset: offset, as: Word.self))
    }
    let indices = 0..<shape.elementCount
    switch type {
    case .float32: return indices.map { Float(bitPattern: word($0, UInt32.self)) }
    case .bfloat16: return indices.map { Float(bitPattern: UInt32(word($0, UInt16.self)) << 16) }
    #if os(macOS) && arch(x86_64)
      case .float16:
        throw GraphError(code: .weightsInvalid, message: "\(name): this system has no Float16")
    #else
      case .float16: return indices.map { Float(Float16(bitPattern: word($0, UInt16.self))) }
    #endif
    case .float64: return indices.map { Float(Double(bitPattern: word($0, UInt64.self))) }
    case .uint8, .bool: return indices.map { Float(bytes[$0]) }
    case .int8: return indices.map { Float(Int8(bitPattern: bytes[$0])) }
    case .int16: return indices.map { Float(Int16(bitPattern: word($0, UInt16.self))) }
    case .int32: return indices.map { Float(Int32(bitPattern: word($0, UInt32.self))) }
    case .int64: return indices.map { Float(Int64(bitPattern: word($0, UInt64.self))) }
    }
  }
}
