internal import FlowCore

/// The header of a GGUF file: its settings, and the descriptions of its tensors.
struct GGUFHeader {
  /// The description of a tensor in the header.
  struct Entry {
    let name: String
    /// The extents, innermost first.
    let extents: [UInt64]
    /// The code of the element type.
    let type: UInt32
    /// The offset in bytes from the first tensor.
    let offset: UInt64
  }

  private static let maximumRank = 8
  private static let shapePrefix = "comfy.gguf.orig_shape."

  /// The settings by name.
  private(set) var settings: [String: GGUF.Setting] = [:]
  /// The tensors in the order of the file.
  private(set) var entries: [Entry] = []
  /// The header's length.
  let byteCount: Int

  init(_ file: MappedFile) throws(HeaderProblem) {
    var cursor = GGUFCursor(file)
    let marker = try cursor.integer("the marker", as: UInt32.self)
    guard marker == 0x4655_4747 else { throw HeaderProblem("does not begin with GGUF") }
    let version = try cursor.integer("the version", as: UInt32.self)
    guard (2...3).contains(version) else {
      throw HeaderProblem(
        (2...3).contains(version.byteSwapped)
          ? "is big-endian, which is not supported"
          : "is of version \(version), expected 2 or 3")
    }
    // A tensor takes a name's length, a rank, a type and an offset; a setting takes a length, a
    // type and a byte.
    let tensorCount = try cursor.count("tensors", ofBytes: 24)
    let settingCount = try cursor.count("settings", ofBytes: 13)
    for _ in 0..<settingCount {
      let name = try cursor.text("a setting's name", limit: GGUFCursor.maximumNameLength)
      let type = try cursor.integer("a setting's type", as: UInt32.self)
      guard settings.updateValue(try cursor.value(ofType: type), forKey: name) == nil else {
        throw HeaderProblem("names the setting '\(name)' twice")
      }
    }
    var names: Set<String> = []
    for _ in 0..<tensorCount {
      let entry = try Self.entry(at: &cursor)
      guard names.insert(entry.name).inserted else {
        throw HeaderProblem("names the tensor '\(entry.name)' twice")
      }
      entries.append(entry)
    }
    byteCount = cursor.position
  }

  private static func entry(at cursor: inout GGUFCursor) throws(HeaderProblem) -> Entry {
    let name = try cursor.text("a tensor's name", limit: GGUFCursor.maximumNameLength)
    guard !name.isEmpty else {
      throw HeaderProblem("has a tensor without a name at byte \(cursor.position)")
    }
    let rank = try cursor.integer("a tensor's rank", as: UInt32.self)
    guard rank <= maximumRank else {
      throw HeaderProblem("gives '\(name)' \(rank) axes, expected \(maximumRank) at most")
    }
    var extents: [UInt64] = []
    for _ in 0..<rank { extents.append(try cursor.integer("a tensor's extent")) }
    return Entry(
      name: name, extents: extents, type: try cursor.integer("a tensor's type"),
      offset: try cursor.integer("a tensor's offset"))
  }

  /// The alignment of the tensors' offsets: 32 by default.
  var alignment: Int {
    get throws(HeaderProblem) {
      guard let setting = settings["general.alignment"] else { return 32 }
      guard case .integer(let alignment) = setting, (1...1 << 30).contains(alignment),
        alignment.nonzeroBitCount == 1
      else {
        throw HeaderProblem(
          "has the alignment \(setting), expected a power of two up to \(1 << 30)")
      }
      return alignment
    }
  }

  /// The original shape of a tensor.
  ///
  /// Files made for ComfyUI flatten tensors whose rows do not fill whole blocks, and store the
  /// shape as a setting.
  func shape(of name: String, stored: Shape) throws(HeaderProblem) -> Shape {
    guard let setting = settings[Self.shapePrefix + name] else { return stored }
    if case .list(let elements) = setting {
      let extents = elements.compactMap { element -> Int? in
        if case .integer(let extent) = element { extent } else { nil }
      }
      if extents.count == elements.count, let shape = Shape(checking: extents),
        shape.elementCount == stored.elementCount
      {
        return shape
      }
    }
    throw HeaderProblem(
      "gives '\(name)' the original shape \(setting), which does not match its \(stored)"
    )
  }
}
