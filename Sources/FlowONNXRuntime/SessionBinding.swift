internal import CONNXRuntime
internal import FlowCore
internal import FlowEngine
internal import FlowGraph

/// A session bound to memory: created once, run for each new input.
@safe
final class SessionBinding: BoundGraph {
  private let session: Session
  private let sessionHandle: OpaquePointer
  private let handle: OpaquePointer
  /// The memory that runs read and write.
  private let memories: [PortMemory]

  /// Takes ownership of an ONNX Runtime binding, and binds its ports.
  @unsafe
  init(
    adopting handle: OpaquePointer?, of sessionHandle: OpaquePointer, session: Session,
    inputs: [PortMemory], outputs: [PortMemory]
  ) throws(EngineError) {
    guard let handle = unsafe handle else {
      throw EngineError(
        code: .runFailed, message: "ONNX Runtime made no binding of \(session.name)")
    }
    self.session = session
    unsafe self.sessionHandle = sessionHandle
    unsafe self.handle = handle
    memories = inputs + outputs
    let runtime = session.runtime
    for memory in inputs {
      let value = try LentValue(memory, runtime: runtime)
      try unsafe runtime.check(
        runtime.functions.bind_input(handle, memory.port.name.description, value.handle),
        .shapeMismatch,
        "bind input \(memory.port.name) of \(session.name) to \(memory.port.shape)")
    }
    for memory in outputs {
      let value = try LentValue(memory, runtime: runtime)
      try unsafe runtime.check(
        runtime.functions.bind_output(handle, memory.port.name.description, value.handle),
        .shapeMismatch,
        "bind output \(memory.port.name) of \(session.name) to \(memory.port.shape)")
    }
  }

  deinit { session.runtime.free { unsafe session.runtime.functions.release_binding(handle) } }

  /// Runs and waits.
  func run() throws(EngineError) {
    try unsafe session.runtime.check(
      session.runtime.functions.run_with_binding(sessionHandle, nil, handle), .runFailed,
      "run \(session.name)")
  }
}

/// ONNX Runtime's view of a port's memory; a binding keeps a copy of the view.
@safe
struct LentValue: ~Copyable {
  /// Valid as long as this value and its memory.
  let handle: OpaquePointer
  let memory: PortMemory
  private let runtime: ONNXRuntime

  init(_ memory: PortMemory, runtime: ONNXRuntime) throws(EngineError) {
    let port = memory.port
    let action = "lend memory of \(port.shape) for \(port.name)"
    var place: OpaquePointer?
    try unsafe runtime.check(
      runtime.functions.create_cpu_memory_info(
        Int32(ORT_ALLOCATOR_DEVICE), Int32(ORT_MEMORY_DEFAULT), &place),
      .shapeMismatch, action)
    defer { runtime.free { unsafe runtime.functions.release_memory_info(place) } }
    let extents = port.shape.dimensions.map(Int64.init)
    var value: OpaquePointer?
    try unsafe runtime.check(
      runtime.functions.create_tensor_with_data(
        place, memory.bytes.baseAddress, port.byteCount, extents, extents.count,
        Int32(port.type.onnxCode), &value),
      .shapeMismatch, action)
    guard let value = unsafe value else {
      throw EngineError(
        code: .shapeMismatch, message: "ONNX Runtime made no tensor of \(port.name)")
    }
    unsafe handle = value
    self.memory = memory
    self.runtime = runtime
  }

  deinit { runtime.free { unsafe runtime.functions.release_value(handle) } }
}
