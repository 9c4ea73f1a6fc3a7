internal import FlowCore
public import FlowGraph

/// The memory of one port of a program: it stays where it is, and runs read from it or write to it.
@safe
public final class PortMemory {
  /// What it holds.
  public let port: Port
  private let memory: UnsafeMutableRawBufferPointer

  /// Allocates memory for a port, set to zero.
  ///
  /// - Parameter port: its shape and its elements.
  public init(_ port: Port) {
    self.port = port
    // A cache line is the alignment that OpenVINO's CPU device copies nothing for.
    let memory = UnsafeMutableRawBufferPointer.allocate(
      byteCount: max(port.byteCount, 1), alignment: 64)
    unsafe self.memory = unsafe memory
    unsafe memory.initializeMemory(as: UInt8.self, repeating: 0)
  }

  deinit { unsafe memory.deallocate() }

  /// The memory itself, aligned to 64 bytes; valid as long as this object.
  @unsafe public var bytes: UnsafeMutableRawBufferPointer { unsafe memory }

  /// The elements, to be written.
  ///
  /// - Precondition: the elements are of that type.
  public func withElements<Element: BitwiseCopyable, Result>(
    of type: Element.Type, _ body: (inout MutableSpan<Element>) throws -> Result
  ) rethrows -> Result {
    checkType(type)
    let elements = unsafe memory.bindMemory(to: type)
    var span = unsafe MutableSpan(_unsafeElements: unsafe elements)
    return try body(&span)
  }

  /// The elements, to be read.
  ///
  /// - Precondition: the elements are of that type.
  public func withElements<Element: BitwiseCopyable, Result>(
    of type: Element.Type, reading body: (Span<Element>) throws -> Result
  ) rethrows -> Result {
    checkType(type)
    let elements = unsafe memory.bindMemory(to: type)
    return try body(unsafe Span(_unsafeElements: UnsafeBufferPointer(elements)))
  }

  private func checkType<Element>(_ type: Element.Type) {
    let isRight =
      switch port.type {
      case .float32: type == Float.self
      case .int64: type == Int64.self
      case .int32: type == Int32.self
      case .uint8: type == UInt8.self
      default: false
      }
    precondition(isRight, "\(port.name) holds \(port.type.rawValue), not \(type)")
  }
}
