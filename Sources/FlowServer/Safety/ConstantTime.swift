/// Comparison in constant time.
enum ConstantTime {
  /// Whether two texts are equal.
  ///
  /// Always reads as many bytes as the padding, independently of lengths and differences.
  ///
  /// - Parameters:
  ///   - candidate: the received text; never equal if longer than the padding.
  ///   - secret: the expected text.
  ///   - count: the length that both are padded to.
  /// - Precondition: the secret is at most that long.
  @inline(never)
  static func areEqual(
    _ candidate: some RandomAccessCollection<UInt8>, _ secret: some RandomAccessCollection<UInt8>,
    paddedTo count: Int
  ) -> Bool {
    precondition(secret.count <= count, "the secret is longer than \(count) bytes")
    let candidateBytes = padded(candidate, to: count)
    let secretBytes = padded(secret, to: count)
    var difference = UInt64(truncatingIfNeeded: candidate.count ^ secret.count)
    for index in 0..<count { difference |= UInt64(candidateBytes[index] ^ secretBytes[index]) }
    return difference == 0
  }

  private static func padded(
    _ bytes: some RandomAccessCollection<UInt8>, to count: Int
  ) -> [UInt8] {
    let head = bytes.prefix(count)
    return Array(head) + Array(repeating: 0, count: count - head.count)
  }
}
