internal import FlowCore
public import FlowGraph

/// The memory of one port of a program.
///
/// Its address is fixed; runs read or write it.
@safe
public final class PortMemory {
  /// The port.
  public let port: Port
  private let memory: UnsafeMutableRawBufferPointer

  /// Allocates memory for a port, filled with zeros.
  ///
  /// - Parameter port: the port, with its shape and element type.
  public init(_ port: Port) {
    self.port = port
    // OpenVINO's CPU device avoids copies at cache-line alignment.
    let memory = UnsafeMutableRawBufferPointer.allocate(
      byteCount: max(port.byteCount, 1), alignment: 64)
    unsafe self.memory = unsafe memory
    unsafe memory.initializeMemory(as: UInt8.self, repeating: 0)
  }

  deinit { unsafe memory.deallocate() }

  /// The memory, aligned to 64 bytes; valid as long as this object.
  @unsafe public var bytes: UnsafeMutableRawBufferPointer { unsafe memory }

  /// Calls a closure with the elements for writing.
  ///
  /// - Precondition: the element type matches.
  public func withElements<Element: BitwiseCopyable, Result>(
    of type: Element.Type, _ body: (inout MutableSpan<Element>) throws -> Result
  ) rethrows -> Result {
    checkType(type)
    let elements = unsafe memory.bindMemory(to: type)
    var span = unsafe MutableSpan(_unsafeElements: unsafe elements)
    return try body(&span)
  }

  /// Calls a closure with the elements for reading.
  ///
  /// - Precondition: the element type matches.
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
