internal import CZlib

/// Decompression of zlib data (RFC 1950) with a limit on the output.
enum Inflation {
  /// The reason for which a decompression ended.
  enum End {
    /// The data ended with its end marker.
    case complete
    /// The input ended before the data did.
    case truncated
    /// The input is not zlib data.
    case damaged
    /// The output reached its limit.
    case limited
  }

  /// Decompresses parts of a file that make up one zlib stream.
  ///
  /// - Parameters:
  ///   - parts: ranges of the bytes, in order.
  ///   - bytes: the file.
  ///   - limit: the maximum number of decompressed bytes.
  ///   - output: called with each window of the result.
  static func decompress(
    _ parts: [Range<Int>], of bytes: [UInt8], limit: Int, output: (ArraySlice<UInt8>) -> Void
  ) -> End {
    // zlib's state contains a pointer to the stream, which must not move.
    let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    unsafe stream.initialize(to: z_stream())
    defer { unsafe stream.deallocate() }
    guard
      unsafe inflateInit_(stream, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK
    else { return .damaged }
    defer { unsafe inflateEnd(stream) }
    var window = [UInt8](repeating: 0, count: 64 << 10)
    var total = 0
    for part in parts {
      // A chunk's length has 32 bits, like zlib's counter.
      var position = part.lowerBound
      while position < part.upperBound {
        let (status, left, free) = unsafe bytes.withUnsafeBufferPointer { input in
          unsafe window.withUnsafeMutableBufferPointer { space in
            unsafe stream.pointee.next_in = UnsafeMutablePointer(
              mutating: input.baseAddress.map { unsafe $0 + position })
            unsafe stream.pointee.avail_in = UInt32(clamping: part.upperBound - position)
            unsafe stream.pointee.next_out = space.baseAddress
            unsafe stream.pointee.avail_out = UInt32(space.count)
            let status = unsafe inflate(stream, Z_NO_FLUSH)
            return unsafe (
              status, Int(stream.pointee.avail_in), Int(stream.pointee.avail_out)
            )
          }
        }
        let (taken, made) = (part.upperBound - position - left, window.count - free)
        position += taken
        total += made
        guard total <= limit else { return .limited }
        if made > 0 { output(window[..<made]) }
        if status == Z_STREAM_END { return .complete }
        guard status == Z_OK || (status == Z_BUF_ERROR && taken > 0) else { return .damaged }
      }
    }
    return .truncated
  }

  /// A decompressed text; nil if it is damaged or exceeds the limit.
  ///
  /// - Parameters:
  ///   - part: the range of the compressed text.
  ///   - bytes: the file.
  ///   - room: the maximum number of decompressed bytes; reduced by the result's.
  static func text(_ part: Range<Int>, of bytes: [UInt8], room: inout Int) -> [UInt8]? {
    var text: [UInt8] = []
    let end = decompress([part], of: bytes, limit: room) { text += $0 }
    if case .limited = end { room = 0 } else { room -= text.count }
    return end == .complete ? text : nil
  }

  /// The cyclic redundancy check of PNG, section 5.5.
  static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    unsafe bytes.withUnsafeBufferPointer { buffer in
      unsafe UInt32(truncatingIfNeeded: crc32_z(0, buffer.baseAddress, buffer.count))
    }
  }
}
