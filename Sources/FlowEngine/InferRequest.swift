internal import COpenVINO
internal import FlowGraph

/// The memory and the bindings of one run at a time, freed when it goes out of scope.
@safe
struct InferRequest: ~Copyable {
  private let runtime: Runtime
  private let name: String
  private let handle: OpaquePointer

  /// Takes over a handle that OpenVINO made.
  @unsafe
  init(adopting handle: OpaquePointer?, runtime: Runtime, name: String) throws(EngineError) {
    guard let handle = unsafe handle else {
      throw EngineError(code: .runFailed, message: "OpenVINO made no request of \(name)")
    }
    self.runtime = runtime
    self.name = name
    unsafe self.handle = handle
  }

  deinit { runtime.free { unsafe runtime.functions.ov_infer_request_free(handle) } }

  /// Has runs read an input from a tensor's memory, from now on.
  borrowing func bind(input index: Int, to tensor: DeviceTensor) throws(EngineError) {
    try unsafe runtime.check(
      runtime.functions.ov_infer_request_set_input_tensor_by_index(handle, index, tensor.handle),
      .shapeMismatch, "bind input \(index) of \(name) to \(tensor.port.shape)")
  }

  /// Has runs write an output to a tensor's memory, from now on.
  borrowing func bind(output index: Int, to tensor: DeviceTensor) throws(EngineError) {
    try unsafe runtime.check(
      runtime.functions.ov_infer_request_set_output_tensor_by_index(handle, index, tensor.handle),
      .shapeMismatch, "bind output \(index) of \(name) to \(tensor.port.shape)")
  }

  /// Runs and waits.
  borrowing func run() throws(EngineError) {
    try unsafe runtime.check(
      runtime.functions.ov_infer_request_infer(handle), .runFailed, "run \(name)")
  }
}
