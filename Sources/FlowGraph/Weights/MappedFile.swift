internal import Foundation
internal import Synchronization

/// A file mapped into memory for reading, unmapped with the last reference.
///
/// Truncating a mapped file ends the process, as with every mapping. Replace weights by renaming
/// instead of writing in place.
@safe
final class MappedFile: Sendable {
  /// The path, with links resolved.
  let path: String
  /// The length in bytes.
  let byteCount: Int
  /// The identity of the file and its version: device, inode, length, and the times of the last
  /// changes to its content and its metadata, which no copy preserves.
  let identity: String

  // Read-only memory that lives as long as this object, and is safe to share between threads.
  private nonisolated(unsafe) let base: UnsafeRawPointer?

  private struct WeakCopy {
    weak var copy: AlignedCopy?
  }
  /// The aligned copies in use, by their byte ranges.
  private let copies = Mutex<[Range<Int>: WeakCopy]>([:])

  init(path: String) throws(GraphError) {
    func failure(_ action: String) -> GraphError {
      GraphError(
        code: .fileUnreadable,
        message: "cannot \(action) '\(path)': \(systemErrorText())")
    }
    let descriptor = unsafe open(path, O_RDONLY)
    guard descriptor >= 0 else { throw failure("open") }
    defer { close(descriptor) }
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { throw failure("measure") }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw GraphError(code: .fileUnreadable, message: "'\(path)' is not a file")
    }
    self.path = URL(filePath: path).resolvingSymlinksInPath().path
    byteCount = Int(status.st_size)
    #if canImport(Darwin)
      let (modified, changed) = (status.st_mtimespec, status.st_ctimespec)
    #else
      let (modified, changed) = (status.st_mtim, status.st_ctim)
    #endif
    identity =
      "\(status.st_dev) \(status.st_ino) \(status.st_size) "
      + "\(modified.tv_sec).\(modified.tv_nsec) \(changed.tv_sec).\(changed.tv_nsec)"
    guard byteCount > 0 else {
      unsafe base = nil
      return
    }
    guard let mapped = unsafe mmap(nil, byteCount, PROT_READ, MAP_PRIVATE, descriptor, 0),
      unsafe mapped != MAP_FAILED
    else { throw failure("map") }
    unsafe base = UnsafeRawPointer(mapped)
  }

  deinit {
    if let base = unsafe base {
      unsafe munmap(UnsafeMutableRawPointer(mutating: base), byteCount)
    }
  }

  /// The address of a byte.
  func address(of offset: Int) -> UInt {
    UInt(bitPattern: unsafe base) + UInt(offset)
  }

  /// An aligned copy of bytes, shared by all concurrent users.
  ///
  /// - Precondition: the range is within the file.
  func alignedCopy(of range: Range<Int>) -> AlignedCopy {
    copies.withLock { copies in
      if let copy = copies[range]?.copy { return copy }
      let copy = AlignedCopy(bytes(range))
      copies[range] = WeakCopy(copy: copy)
      return copy
    }
  }

  /// The number of aligned copies in use.
  var alignedCopyCount: Int { copies.withLock { $0.values.count { $0.copy != nil } } }

  /// Releases the memory of pages that were read; pages that are read again are fetched again.
  func releasePages() {
    guard let base = unsafe base else { return }
    unsafe madvise(UnsafeMutableRawPointer(mutating: base), byteCount, MADV_DONTNEED)
  }

  /// Calls a closure with bytes.
  ///
  /// - Precondition: the range is within the file.
  func withBytes<Result>(_ range: Range<Int>, _ body: (RawSpan) -> Result) -> Result {
    precondition(range.lowerBound >= 0 && range.upperBound <= byteCount, "beyond the file")
    guard let base = unsafe base, !range.isEmpty else {
      return unsafe body(RawSpan(_unsafeBytes: UnsafeRawBufferPointer(start: nil, count: 0)))
    }
    let bytes = unsafe UnsafeRawBufferPointer(start: base + range.lowerBound, count: range.count)
    return body(unsafe RawSpan(_unsafeBytes: bytes))
  }

  /// A little-endian integer.
  ///
  /// - Precondition: it is within the file.
  func integer<Word: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as _: Word.Type) -> Word {
    withBytes(offset..<offset + MemoryLayout<Word>.size) { bytes in
      Word(littleEndian: unsafe bytes.unsafeLoadUnaligned(as: Word.self))
    }
  }

  /// A copy of bytes.
  ///
  /// - Precondition: the range is within the file.
  func bytes(_ range: Range<Int>) -> [UInt8] {
    precondition(range.lowerBound >= 0 && range.upperBound <= byteCount, "beyond the file")
    guard let base = unsafe base, !range.isEmpty else { return [] }
    return unsafe Array(
      UnsafeRawBufferPointer(start: base + range.lowerBound, count: range.count))
  }
}

/// The system's message for the last failure.
func systemErrorText() -> String { unsafe String(cString: strerror(errno)) }
