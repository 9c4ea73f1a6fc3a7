internal import COpenVINO
internal import FlowCore
internal import FlowGraph

/// Memory that stays where it is, which runs read from or write to.
@safe
final class DeviceTensor {
  let port: Port
  /// OpenVINO's view of the memory; valid as long as this object.
  let handle: OpaquePointer

  private let runtime: Runtime
  private let memory: UnsafeMutableRawBufferPointer

  init(port: Port, runtime: Runtime) throws(EngineError) {
    self.port = port
    self.runtime = runtime
    // A cache line is the alignment that the CPU device copies nothing for.
    let memory = UnsafeMutableRawBufferPointer.allocate(
      byteCount: max(port.byteCount, 1), alignment: 64)
    unsafe self.memory = unsafe memory
    unsafe memory.initializeMemory(as: UInt8.self, repeating: 0)
    var extents = port.shape.dimensions.map(Int64.init)
    var tensor: OpaquePointer?
    let type = port.type.openVINOType()
    do {
      try unsafe runtime.check(
        extents.withUnsafeMutableBufferPointer { extents in
          unsafe runtime.functions.ov_tensor_create_from_host_ptr(
            type, ov_shape_t(rank: Int64(extents.count), dims: extents.baseAddress),
            memory.baseAddress, &tensor)
        }, .shapeMismatch, "lend memory of \(port.shape) for \(port.name)")
    } catch {
      unsafe memory.deallocate()
      throw error
    }
    guard let tensor = unsafe tensor else {
      unsafe memory.deallocate()
      throw EngineError(code: .shapeMismatch, message: "OpenVINO made no tensor of \(port.name)")
    }
    unsafe handle = tensor
  }

  deinit {
    runtime.free { unsafe runtime.functions.ov_tensor_free(handle) }
    unsafe memory.deallocate()
  }

  /// The elements, to be written.
  func withElements<Element: BitwiseCopyable, Result>(
    of type: Element.Type, _ body: (inout MutableSpan<Element>) throws -> Result
  ) rethrows -> Result {
    checkType(type)
    let elements = unsafe memory.bindMemory(to: type)
    var span = unsafe MutableSpan(_unsafeElements: unsafe elements)
    return try body(&span)
  }

  /// The elements, to be read.
  func withElements<Element: BitwiseCopyable, Result>(
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

extension ElementType {
  fileprivate func openVINOType() -> ov_element_type_e {
    switch self {
    case .float64: OPENVINO_F64
    case .float32: OPENVINO_F32
    case .float16: OPENVINO_F16
    case .bfloat16: OPENVINO_BF16
    case .float8E4M3: OPENVINO_F8E4M3
    case .float8E5M2: OPENVINO_F8E5M2
    case .uint64: OPENVINO_U64
    case .uint32: OPENVINO_U32
    case .uint16: OPENVINO_U16
    case .int64: OPENVINO_I64
    case .int32: OPENVINO_I32
    case .int16: OPENVINO_I16
    case .int8: OPENVINO_I8
    case .uint8: OPENVINO_U8
    case .bool: OPENVINO_BOOLEAN
    }
  }
}
