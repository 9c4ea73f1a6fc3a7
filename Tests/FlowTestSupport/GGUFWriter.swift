/// Writes small GGUF files, whole ones and broken ones.
public struct GGUFWriter: Sendable {
  /// A tensor as a header names it.
  public struct Tensor: Sendable {
    /// The name.
    public var name: String
    /// The extents, innermost first.
    public var extents: [UInt64]
    /// ggml's number of the type.
    public var type: UInt32
    /// The place of the first byte; nil for the next multiple of the alignment.
    public var offset: UInt64?
    /// The bytes.
    public var bytes: [UInt8]

    /// Creates a tensor.
    public init(
      _ name: String, _ extents: [UInt64], type: UInt32 = 0, offset: UInt64? = nil, _ bytes: [UInt8]
    ) {
      (self.name, self.extents, self.type) = (name, extents, type)
      (self.offset, self.bytes) = (offset, bytes)
    }
  }

  /// The version.
  public var version: UInt32 = 3
  /// The settings: names, numbers of their types, bytes of their values.
  public var settings: [(name: String, type: UInt32, bytes: [UInt8])] = []
  /// The tensors.
  public var tensors: [Tensor]
  /// What offsets are multiples of.
  public var alignment = 32
  /// The counts that the header names; nil for those that are true.
  public var counts: (tensors: UInt64?, settings: UInt64?) = (nil, nil)

  /// Creates a file of some tensors.
  public init(_ tensors: [Tensor]) { self.tensors = tensors }

  /// The file's bytes.
  public var bytes: [UInt8] {
    var header = Array("GGUF".utf8) + Self.bytes(version)
    header += Self.bytes(counts.tensors ?? UInt64(tensors.count))
    header += Self.bytes(counts.settings ?? UInt64(settings.count))
    for (name, type, value) in settings { header += Self.text(name) + Self.bytes(type) + value }
    var data: [UInt8] = []
    for tensor in tensors {
      data += [UInt8](repeating: 0, count: -data.count & (alignment - 1))
      header += Self.text(tensor.name) + Self.bytes(UInt32(tensor.extents.count))
      for extent in tensor.extents { header += Self.bytes(extent) }
      header += Self.bytes(tensor.type) + Self.bytes(tensor.offset ?? UInt64(data.count))
      data += tensor.bytes
    }
    header += [UInt8](repeating: 0, count: -header.count & (alignment - 1))
    return header + data
  }

  /// A number, little-endian.
  public static func bytes<Word: FixedWidthInteger>(_ word: Word) -> [UInt8] {
    (0..<Word.bitWidth / 8).map { UInt8(truncatingIfNeeded: word >> Word($0 * 8)) }
  }

  /// A text behind its length.
  public static func text(_ text: String) -> [UInt8] { bytes(UInt64(text.utf8.count)) + text.utf8 }
}
