public import FlowCore

/// A tensor in a weights file: where it is and what it looks like, its elements not yet read.
public struct Weight: Sendable {
  /// The name in the file, or the one it was given since.
  public let name: String
  /// What its elements are.
  public let type: ElementType
  /// The extents.
  public let shape: Shape
  /// The file it lies in.
  let file: MappedFile
  /// Where it begins, in bytes from the start of the file.
  let offset: Int

  /// The same tensor under another name.
  func named(_ name: String) -> Weight {
    Weight(name: name, type: type, shape: shape, file: file, offset: offset)
  }

  /// The bytes it takes.
  public var byteCount: Int { shape.elementCount * type.byteCount }
}
