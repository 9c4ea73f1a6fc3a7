internal import Foundation

/// Memory for data derived from weights when a graph is compiled: small amounts in the process's
/// own memory, large ones in a mapped temporary file, which the system may write out.
@safe
final class ScratchMemory: Sendable {
  /// Minimum size in bytes of file-backed memory.
  private static let mappedByteCount = 1 << 20

  // Written by its creator before it is shared, and freed with the last reference.
  private nonisolated(unsafe) let memory: UnsafeMutableRawBufferPointer
  private let isMapped: Bool
  private let byteCount: Int

  /// Allocates memory filled with zeros.
  ///
  /// - Throws: `fileUnreadable` if there is not enough room for the file.
  init(byteCount: Int) throws(GraphError) {
    self.byteCount = byteCount
    isMapped = byteCount >= Self.mappedByteCount
    if isMapped {
      unsafe memory = try Self.mapFile(byteCount)
    } else {
      unsafe memory = .allocate(byteCount: max(byteCount, 1), alignment: 64)
      unsafe memory.initializeMemory(as: UInt8.self, repeating: 0)
    }
  }

  deinit {
    if isMapped {
      unsafe munmap(memory.baseAddress, memory.count)
    } else {
      unsafe memory.deallocate()
    }
  }

  /// The address of the first byte, a multiple of 64.
  var address: UInt { UInt(bitPattern: unsafe memory.baseAddress) }

  /// Releases the memory of a file's pages; pages that are read again are fetched again.
  func releasePages() {
    if isMapped { unsafe madvise(memory.baseAddress, memory.count, MADV_DONTNEED) }
  }

  /// Writes elements.
  ///
  /// - Precondition: the memory is not shared yet, and the elements fit.
  func write<Element: BitwiseCopyable>(_ elements: Span<Element>, at offset: Int) {
    unsafe elements.withUnsafeBytes { bytes in
      precondition(offset >= 0 && bytes.count <= byteCount - offset, "beyond the memory")
      unsafe UnsafeMutableRawBufferPointer(rebasing: memory[offset...]).copyMemory(from: bytes)
    }
  }

  /// Maps an unlinked file, which is deleted with the mapping.
  private static func mapFile(_ byteCount: Int) throws(GraphError) -> UnsafeMutableRawBufferPointer
  {
    let folder = FileManager.default.temporaryDirectory.path
    func failure(_ reason: String) -> GraphError {
      GraphError(
        code: .fileUnreadable,
        message:
          "cannot make a temporary file of \(byteCount) bytes in '\(folder)': \(reason); make "
          + "room there, or set TMPDIR to a folder with more")
    }
    // mkstemp replaces the six X's.
    var template = Array("\(folder)/streamflow-weights-XXXXXX".utf8CString)
    let descriptor = unsafe template.withUnsafeMutableBufferPointer { path in
      let descriptor = unsafe path.baseAddress.map { unsafe mkstemp($0) } ?? -1
      if descriptor >= 0, let path = path.baseAddress { unsafe unlink(path) }
      return descriptor
    }
    guard descriptor >= 0 else { throw failure(systemErrorText()) }
    defer { close(descriptor) }
    #if canImport(Darwin)
      var request = fstore_t(
        fst_flags: UInt32(F_ALLOCATEALL), fst_posmode: F_PEOFPOSMODE, fst_offset: 0,
        fst_length: off_t(byteCount), fst_bytesalloc: 0)
      guard unsafe fcntl(descriptor, F_PREALLOCATE, &request) >= 0,
        ftruncate(descriptor, off_t(byteCount)) == 0
      else { throw failure(systemErrorText()) }
    #else
      // Space is allocated now: a full disk is an error here instead of a crash later.
      let status = posix_fallocate(descriptor, 0, off_t(byteCount))
      guard status == 0 else { throw failure(unsafe String(cString: strerror(status))) }
    #endif
    guard
      let mapped = unsafe mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0),
      unsafe mapped != MAP_FAILED
    else { throw failure(systemErrorText()) }
    return unsafe UnsafeMutableRawBufferPointer(start: mapped, count: byteCount)
  }
}
