internal import COpenVINO
internal import FlowCore
internal import FlowEngine
internal import FlowGraph

/// A request of a compiled model, bound to memory.
@safe
final class BoundRequest: BoundGraph {
  private let runtime: OpenVINORuntime
  private let name: String
  private let handle: OpaquePointer
  /// The memory that the request reads and writes.
  private let memories: [PortMemory]

  /// Takes ownership of an OpenVINO request, and binds it.
  @unsafe
  init(
    adopting handle: OpaquePointer?, runtime: OpenVINORuntime, name: String,
    inputs: [PortMemory], outputs: [PortMemory]
  ) throws(EngineError) {
    guard let handle = unsafe handle else {
      throw EngineError(code: .runFailed, message: "OpenVINO made no request of \(name)")
    }
    self.runtime = runtime
    self.name = name
    unsafe self.handle = handle
    memories = inputs + outputs
    for (index, memory) in inputs.enumerated() {
      let tensor = try LentTensor(memory, runtime: runtime)
      try unsafe runtime.check(
        runtime.functions.ov_infer_request_set_input_tensor_by_index(
          handle, index, tensor.handle),
        .shapeMismatch, "bind input \(memory.port.name) of \(name) to \(memory.port.shape)")
    }
    for (index, memory) in outputs.enumerated() {
      let tensor = try LentTensor(memory, runtime: runtime)
      try unsafe runtime.check(
        runtime.functions.ov_infer_request_set_output_tensor_by_index(
          handle, index, tensor.handle),
        .shapeMismatch, "bind output \(memory.port.name) of \(name) to \(memory.port.shape)")
    }
  }

  deinit { runtime.free { unsafe runtime.functions.ov_infer_request_free(handle) } }

  /// Runs and waits.
  func run() throws(EngineError) {
    try unsafe runtime.check(
      runtime.functions.ov_infer_request_infer(handle), .runFailed, "run \(name)")
  }

  /// The kernels that ran, with the mean times of all runs: OpenVINO never resets its counters.
  func kernelTimes() throws(EngineError) -> [KernelTime] {
    var list = unsafe ov_profiling_info_list_t()
    try unsafe runtime.check(
      runtime.functions.ov_infer_request_get_profiling_info(handle, &list), .runFailed,
      "read the times of \(name)")
    defer { unsafe runtime.functions.ov_profiling_info_list_free(&list) }
    return unsafe (0..<list.size).compactMap { index in
      let kernel = unsafe list.profiling_infos[index]
      guard unsafe kernel.real_time > 0 else { return nil }
      return unsafe KernelTime(
        node: String(cString: kernel.node_name), operation: String(cString: kernel.node_type),
        implementation: String(cString: kernel.exec_type),
        time: .microseconds(kernel.real_time))
    }
  }
}
