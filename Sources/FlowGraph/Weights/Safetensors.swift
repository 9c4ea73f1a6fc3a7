internal import FlowCore

/// A safetensors file, mapped into memory: its tensors by name.
///
/// The format is 8 bytes of header length, little endian, a JSON header, and the tensors one after
/// another (github.com/huggingface/safetensors). Nothing a file says is believed before it is
/// checked against the file's length.
public struct Safetensors: Sendable {
  /// The longest header that is read, in bytes, as in the reference implementation.
  static let maximumHeaderLength = 100_000_000

  /// The tensors by name.
  public let tensors: [String: Weight]
  /// The free-form texts under `__metadata__`.
  public let metadata: [String: String]
  /// What tells this file from any other: its number, length, times of change, the header's hash.
  public let identity: String

  /// Maps a file and checks its header.
  public init(path: String) throws(GraphError) {
    let file = try MappedFile(path: path)
    func invalid(_ problem: String) -> GraphError {
      GraphError(
        code: .weightsInvalid,
        message: "'\(path)' is not a whole safetensors file: it \(problem); fetch it again")
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
    for (name, entry) in header.tensors.sorted(by: { $0.entry.begin < $1.entry.begin }) {
      guard let type = ElementType(rawValue: entry.type) else {
        throw invalid("holds '\(name)' as '\(entry.type)', which is not supported")
      }
      guard let shape = Shape(checking: entry.dimensions),
        case let (byteCount, overflow) =
          shape.elementCount.multipliedReportingOverflow(by: type.byteCount), !overflow
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
      guard (start + entry.begin).isMultiple(of: type.byteCount) else {
        throw GraphError(
          code: .weightsInvalid,
          message: "'\(path)' begins '\(name)' off the alignment of \(entry.type), where it cannot "
            + "be read in place; load it and save it again with the safetensors library")
      }
      end = entry.end
      tensors[name] = Weight(
        name: name, type: type, shape: shape, file: file, offset: start + entry.begin)
    }
    guard end == file.byteCount - start else {
      throw invalid("goes on for \(file.byteCount - start - end) bytes after its last tensor")
    }
    self.tensors = tensors
    metadata = header.metadata
    let hash = ContentHash.of(json)
    identity = "\(file.identity) \(hash)"
  }
}
