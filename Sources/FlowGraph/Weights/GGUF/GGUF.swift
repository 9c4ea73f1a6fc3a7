internal import FlowCore

/// A GGUF file, mapped into memory: its tensors by name.
///
/// The format consists of a little-endian header of settings and tensors, and the tensors' bytes,
/// each at a multiple of an alignment (github.com/ggml-org/ggml, docs/gguf.md), versions 2 and 3.
/// All of a file's values are validated against the file's length before use.
public struct GGUF: Sendable {
  /// The value of a setting.
  public enum Setting: Equatable, Sendable {
    /// An integer.
    case integer(Int)
    /// A floating-point number.
    case number(Double)
    /// True or false.
    case bool(Bool)
    /// A text.
    case text(String)
    /// A list.
    case list([Setting])
    /// A list that is too long to be kept, such as a vocabulary.
    case longList(count: Int)
  }

  /// The tensors by their names in the file.
  public let tensors: [String: Weight]
  /// The settings by name.
  public let settings: [String: Setting]
  /// The identity of the file: device, inode, length, change times and the header's hash.
  public let identity: String

  /// The name of the architecture, such as `flux` or `qwen3`; nil if the file has none.
  public var architecture: String? {
    if case .text(let name)? = settings["general.architecture"] { name } else { nil }
  }

  /// Maps a file and validates its header.
  ///
  /// - Throws: `fileUnreadable`, or `weightsInvalid` for an invalid or incomplete file.
  public init(path: String) throws(GraphError) { try self.init(MappedFile(path: path), path: path) }

  init(_ file: MappedFile, path: String) throws(GraphError) {
    let header: GGUFHeader
    let placed: [(entry: GGUFHeader.Entry, type: GGUFType, shape: Shape, bytes: Range<Int>)]
    do throws(HeaderProblem) {
      header = try GGUFHeader(file)
      placed = try Self.placed(header, in: file)
    } catch {
      throw GraphError(
        code: .weightsInvalid,
        message: "'\(path)' is not a whole GGUF file: it \(error.words); fetch it again")
    }
    var tensors: [String: Weight] = [:]
    for (entry, type, shape, bytes) in placed {
      tensors[entry.name] = Weight(
        name: entry.name, typeName: type.name, shape: shape, file: file, bytes: bytes,
        blocks: type.blocks)
    }
    self.tensors = tensors
    settings = header.settings
    let hash = file.withBytes(0..<header.byteCount) { ContentHash.of($0) }
    identity = "\(file.identity) \(hash)"
  }

  /// Validates the tensors' positions.
  private static func placed(
    _ header: GGUFHeader, in file: MappedFile
  ) throws(HeaderProblem) -> [(
    entry: GGUFHeader.Entry, type: GGUFType, shape: Shape, bytes: Range<Int>
  )] {
    let alignment = try header.alignment
    let start = (header.byteCount + alignment - 1) / alignment * alignment
    var placed: [(entry: GGUFHeader.Entry, type: GGUFType, shape: Shape, bytes: Range<Int>)] = []
    for entry in header.entries {
      let (type, shape, byteCount) = try size(of: entry)
      guard entry.offset.isMultiple(of: UInt64(alignment)) else {
        throw HeaderProblem(
          "begins '\(entry.name)' at \(entry.offset), expected a multiple of \(alignment)")
      }
      let room = max(file.byteCount - start, 0)
      guard entry.offset <= UInt64(room), byteCount <= room - Int(entry.offset) else {
        throw HeaderProblem(
          "places \(byteCount) bytes of '\(entry.name)' at \(entry.offset), in \(room) bytes of "
            + "tensors")
      }
      let first = start + Int(entry.offset)
      placed.append(
        (entry, type, try header.shape(of: entry.name, stored: shape), first..<first + byteCount))
    }
    let ordered = placed.sorted {
      ($0.bytes.lowerBound, $0.bytes.upperBound) < ($1.bytes.lowerBound, $1.bytes.upperBound)
    }
    for (before, after) in zip(ordered, ordered.dropFirst())
    where after.bytes.lowerBound < before.bytes.upperBound {
      throw HeaderProblem(
        "begins '\(after.entry.name)' at \(after.entry.offset), within '\(before.entry.name)', "
          + "which takes \(before.bytes.count) bytes from \(before.entry.offset) on")
    }
    return placed
  }

  private static func size(
    of entry: GGUFHeader.Entry
  ) throws(HeaderProblem) -> (GGUFType, Shape, byteCount: Int) {
    guard let type = GGUFType(number: entry.type) else {
      throw HeaderProblem("gives '\(entry.name)' the unknown type \(entry.type)")
    }
    let dimensions = entry.extents.reversed().map { Int(clamping: $0) }
    guard let shape = Shape(checking: dimensions),
      case (let bytes, false) = (shape.elementCount / type.blockElementCount)
        .multipliedReportingOverflow(by: type.blockByteCount)
    else { throw HeaderProblem("gives '\(entry.name)' the shape \(dimensions), beyond any memory") }
    guard (shape.dimensions.last ?? 1).isMultiple(of: type.blockElementCount) else {
      throw HeaderProblem(
        "gives '\(entry.name)' the shape \(shape) in \(type.name), whose rows are multiples of "
          + "\(type.blockElementCount)")
    }
    return (type, shape, bytes)
  }
}
