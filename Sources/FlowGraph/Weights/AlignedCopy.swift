internal import Synchronization

/// A copy of a tensor whose file does not align its elements.
///
/// The safetensors format does not require alignment; engines that read weights in place do.
@safe
final class AlignedCopy: Sendable {
  // Written once before it is shared, and freed with the last reference.
  private nonisolated(unsafe) let memory: UnsafeMutableRawBufferPointer

  init(_ bytes: [UInt8]) {
    unsafe memory = .allocate(byteCount: bytes.count, alignment: 64)
    unsafe memory.copyBytes(from: bytes)
  }

  deinit { unsafe memory.deallocate() }

  /// The address of the first byte.
  var address: UInt { UInt(bitPattern: unsafe memory.baseAddress) }
}

/// The aligned copies of a model, created when their addresses are requested.
final class AlignedCopies: Sendable {
  private let copies = Mutex<[AlignedCopy]>([])

  /// The address of a weight's bytes, aligned to its elements.
  func address(of weight: Weight) throws(GraphError) -> UInt {
    let address = weight.file.address(of: weight.offset)
    guard !address.isMultiple(of: UInt(try weight.readableType().byteCount)) else {
      return address
    }
    let copy = weight.file.alignedCopy(of: weight.offset..<weight.offset + weight.byteCount)
    copies.withLock { $0.append(copy) }
    return copy.address
  }
}
