internal import COpenVINO
internal import FlowEngine

/// A model compiled for a device.
@safe
final class CompiledModel: CompiledGraph {
  let runtime: OpenVINORuntime
  let name: String
  /// The imported file; the runtime reads weights from its mapping.
  private let file: EngineFile?
  // Written once, before the object is shared. OpenVINO creates requests of a compiled model,
  // exports it and reads its properties from any thread.
  private nonisolated(unsafe) let handle: OpaquePointer

  /// Takes ownership of an OpenVINO handle.
  @unsafe
  init(
    adopting handle: OpaquePointer?, runtime: OpenVINORuntime, name: String, file: EngineFile?
  ) throws(EngineError) {
    guard let handle = unsafe handle else {
      throw EngineError(code: .compilationFailed, message: "OpenVINO made no engine of \(name)")
    }
    self.runtime = runtime
    self.name = name
    self.file = file
    unsafe self.handle = handle
  }

  deinit { runtime.free { unsafe runtime.functions.ov_compiled_model_free(handle) } }

  /// Exports the model to a file, from which it can be imported.
  func export(to path: String) throws(EngineError) {
    try unsafe runtime.check(
      runtime.functions.ov_compiled_model_export_model(handle, path), .cacheUnusable,
      "write the engine \(name) to '\(path)'")
  }

  /// The numbers of inputs and outputs.
  func portCounts() throws(EngineError) -> (inputs: Int, outputs: Int) {
    var inputs = 0
    var outputs = 0
    try unsafe runtime.check(
      runtime.functions.ov_compiled_model_inputs_size(handle, &inputs), .modelUnreadable,
      "count the inputs of \(name)")
    try unsafe runtime.check(
      runtime.functions.ov_compiled_model_outputs_size(handle, &outputs), .modelUnreadable,
      "count the outputs of \(name)")
    return (inputs, outputs)
  }

  /// A property of the compiled model, such as `INFERENCE_PRECISION_HINT`.
  func property(_ key: String) throws(EngineError) -> String {
    var text: UnsafeMutablePointer<CChar>?
    try unsafe runtime.check(
      runtime.functions.ov_compiled_model_get_property(handle, key, &text), .runFailed,
      "read \(key) of \(name)")
    guard let text = unsafe text else { return "" }
    defer { unsafe runtime.functions.ov_free(text) }
    return unsafe String(cString: text)
  }

  /// Creates a request bound to memory.
  func bind(
    inputs: [PortMemory], outputs: [PortMemory]
  ) throws(EngineError) -> any BoundGraph {
    var request: OpaquePointer?
    try unsafe runtime.check(
      runtime.functions.ov_compiled_model_create_infer_request(handle, &request), .runFailed,
      "prepare a run of \(name)")
    return unsafe try BoundRequest(
      adopting: request, runtime: runtime, name: name, inputs: inputs, outputs: outputs)
  }
}
