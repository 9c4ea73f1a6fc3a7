internal import FlowCore

/// A safetensors file, mapped into memory: its tensors by name.
///
/// The format consists of 8 bytes of header length, little-endian, a JSON header, and the
/// concatenated tensors (github.com/huggingface/safetensors). All of a file's values are validated
/// against the file's length before use.
public struct Safetensors: Sendable {
  /// The maximum header length in bytes, as in the reference implementation.
  static let maximumHeaderLength = 100_000_000

  /// The tensors by name.
  public let tensors: [String: Weight]
  /// The free-form texts in `__metadata__`.
  public let metadata: [String: String]
  /// The identity of the file: device, inode, length, change times and the header's hash.
  public let identity: String

  /// Maps a file and validates its header.
  public init(path: String) throws(GraphError) { try self.init(MappedFile(path: path), path: path) }

  init(_ file: MappedFile, path: String) throws(GraphError) {
    func invalid(_ problem: String) -> GraphError {
      GraphError(
        code: .weightsInvalid,
        message: "'\(path)' is not a whole safetensors file: it \(problem); fetch it again")
    }
    if let kind = ForeignFile(file.bytes(0..<min(file.byteCount, 64))) {
      throw GraphError(code: .weightsInvalid, message: "'\(path)' \(kind.words)")
    }
    guard file.byteCount >= 8 else {
      throw invalid("is \(file.byteCount) bytes long, less than the 8 of a header's length")
    }
    let length = file.bytes(0..<8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard length <= Self.maximumHeaderLength, Int(length) <= file.byteCount - 8 else {
      throw invalid("names a header of \(length) bytes in a file of \(file.byteCount)")
    }
    let start = 8 + Int(length)
    let json = file.bytes(8..<start)
    let header: SafetensorsHeader
    do { header = try SafetensorsHeader(json: json) } catch { throw invalid(error.words) }

    var tensors: [String: Weight] = [:]
    var end = 0
    // An empty tensor begins at the same offset as the next one.
    let entries = header.tensors.sorted {
      ($0.entry.begin, $0.entry.end) < ($1.entry.begin, $1.entry.end)
    }
    for (name, entry) in entries {
      guard let shape = Shape(checking: entry.dimensions),
        let byteCount = Self.byteCount(of: shape, entry)
      else { throw invalid("gives '\(name)' the shape \(entry.dimensions), beyond any memory") }
      guard entry.begin == end else {
        throw invalid("begins '\(name)' at \(entry.begin) where the one before ends at \(end)")
      }
      guard entry.end >= entry.begin, entry.end - entry.begin == byteCount else {
        throw invalid(
          "gives '\(name)' \(entry.begin)..<\(entry.end), where \(shape) of \(entry.type) takes "
            + "\(byteCount) bytes")
      }
      guard entry.end <= file.byteCount - start else {
        throw invalid(
          "ends '\(name)' at \(entry.end) of \(file.byteCount - start) bytes of tensors")
      }
      end = entry.end
      tensors[name] = Weight(
        name: name, typeName: entry.type, shape: shape, file: file,
        bytes: start + entry.begin..<start + entry.end)
    }
    guard end == file.byteCount - start else {
      throw invalid("continues for \(file.byteCount - start - end) bytes after its last tensor")
    }
    self.tensors = tensors
    metadata = header.metadata
    let hash = ContentHash.of(json)
    identity = "\(file.identity) \(hash)"
  }

  /// The bytes of a tensor, or nil if the size overflows.
  ///
  /// For unknown types, the file's own byte count.
  private static func byteCount(of shape: Shape, _ entry: TensorEntry) -> Int? {
    guard let bits = bitCounts[entry.type] else { return entry.end - entry.begin }
    let (count, overflow) = shape.elementCount.multipliedReportingOverflow(by: bits)
    return overflow ? nil : (count + 7) / 8
  }

  /// The bits per element of each type of the format, including types that are not supported here.
  private static let bitCounts: [String: Int] = {
    var counts = [
      "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
      "C64": 64,
    ]
    for type in ElementType.allCases { counts[type.rawValue] = type.byteCount * 8 }
    return counts
  }()
}
