internal import COpenVINO
internal import FlowCore
internal import FlowEngine
internal import FlowGraph

/// OpenVINO's view of a port's memory.
@safe
struct LentTensor: ~Copyable {
  /// Valid as long as this value and its memory.
  let handle: OpaquePointer
  let memory: PortMemory
  private let runtime: OpenVINORuntime

  init(_ memory: PortMemory, runtime: OpenVINORuntime) throws(EngineError) {
    let port = memory.port
    var extents = port.shape.dimensions.map(Int64.init)
    var tensor: OpaquePointer?
    let type = port.type.openVINOType()
    try unsafe runtime.check(
      extents.withUnsafeMutableBufferPointer { extents in
        unsafe runtime.functions.ov_tensor_create_from_host_ptr(
          type, ov_shape_t(rank: Int64(extents.count), dims: extents.baseAddress),
          memory.bytes.baseAddress, &tensor)
      }, .shapeMismatch, "lend memory of \(port.shape) for \(port.name)")
    guard let tensor = unsafe tensor else {
      throw EngineError(code: .shapeMismatch, message: "OpenVINO made no tensor of \(port.name)")
    }
    unsafe handle = tensor
    self.memory = memory
    self.runtime = runtime
  }

  deinit { runtime.free { unsafe runtime.functions.ov_tensor_free(handle) } }
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
