/// A file's block format of low-bit weights: blocks of small integers, in which groups share a
/// scale and, in some formats, a minimum.
///
/// A weight is `scale * number + minimum`, rounded to float32 after each operation. The layouts are
/// those of ggml, whose tensors GGUF files hold.
enum BlockFormat: String, Sendable, CaseIterable {
  case q4 = "Q4_0"
  case q4Minimum = "Q4_1"
  case q5 = "Q5_0"
  case q5Minimum = "Q5_1"
  case q8 = "Q8_0"
  case q4K = "Q4_K"
  case q5K = "Q5_K"
  case q6K = "Q6_K"

  /// The number of weights in a block.
  var elementCount: Int {
    switch self {
    case .q4, .q4Minimum, .q5, .q5Minimum, .q8: 32
    case .q4K, .q5K, .q6K: 256
    }
  }

  /// The bytes of a block.
  var byteCount: Int {
    switch self {
    case .q4: 18
    case .q4Minimum: 20
    case .q5: 22
    case .q5Minimum: 24
    case .q8: 34
    case .q4K: 144
    case .q5K: 176
    case .q6K: 210
    }
  }

  /// The number of weights that share a scale.
  var groupSize: Int { self == .q6K ? 16 : 32 }

  /// Whether groups have a minimum.
  var hasMinimums: Bool {
    switch self {
    case .q4Minimum, .q5Minimum, .q4K, .q5K: true
    case .q4, .q5, .q8, .q6K: false
    }
  }

  /// Whether every number fits 4 bits: from -8 to 7, or from 0 to 15 if groups have a minimum.
  var fitsFourBits: Bool {
    switch self {
    case .q4, .q4Minimum, .q4K: true
    case .q5, .q5Minimum, .q8, .q5K, .q6K: false
    }
  }

  /// The bytes of `count` weights, or nil if they do not fill whole blocks.
  func byteCount(ofElements count: Int) -> Int? {
    guard count.isMultiple(of: elementCount) else { return nil }
    let (bytes, overflow) = (count / elementCount).multipliedReportingOverflow(by: byteCount)
    return overflow ? nil : bytes
  }
}

/// The numbers, scales and minimums of one block, reused from block to block.
struct DecodedBlock {
  /// The integers, one for each weight.
  var numbers = [Int8](repeating: 0, count: 256)
  /// The scales, one for each group.
  var scales = [Float](repeating: 0, count: 16)
  /// The minimums, one for each group; zeros if the format has none.
  var minimums = [Float](repeating: 0, count: 16)
}
