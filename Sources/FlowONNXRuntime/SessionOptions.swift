internal import CONNXRuntime
internal import FlowEngine
internal import FlowGraph
internal import Foundation

/// ONNX Runtime's session options.
@safe
struct SessionOptions: ~Copyable {
  /// Valid as long as this value.
  let handle: OpaquePointer
  private let runtime: ONNXRuntime

  /// Creates options with the library's defaults.
  init(runtime: ONNXRuntime) throws(EngineError) {
    var options: OpaquePointer?
    try unsafe runtime.check(
      runtime.functions.create_session_options(&options), .compilationFailed, "make options")
    guard let options = unsafe options else {
      throw EngineError(code: .compilationFailed, message: "ONNX Runtime made no options")
    }
    unsafe handle = options
    self.runtime = runtime
  }

  deinit { runtime.free { unsafe runtime.functions.release_session_options(handle) } }

  /// Sets all options and adds the providers.
  ///
  /// - Throws: `deviceUnavailable` if a provider cannot be used on this machine,
  ///   `compilationFailed`.
  func apply(_ settings: SessionSettings) throws(EngineError) {
    let functions = runtime.functions
    try unsafe runtime.check(
      functions.set_execution_mode(handle, Int32(ORT_EXECUTE_IN_SEQUENCE)),
      .compilationFailed, "set the execution mode")
    try unsafe runtime.check(
      functions.set_optimization_level(handle, Int32(ORT_OPTIMIZE_ALL)),
      .compilationFailed, "set the optimization level")
    try unsafe runtime.check(
      functions.set_intra_op_thread_count(handle, Int32(settings.threadCount)),
      .compilationFailed, "set the number of threads to \(settings.threadCount)")
    try unsafe runtime.check(
      functions.set_inter_op_thread_count(handle, 1), .compilationFailed,
      "set the number of operators at a time")
    for entry in settings.entries { try set(entry) }
    for provider in settings.providers { try append(provider) }
  }

  /// Sets one of the session's own entries.
  func set(_ entry: ProviderSettings.Entry) throws(EngineError) {
    try unsafe runtime.check(
      runtime.functions.add_session_config_entry(handle, entry.key, entry.value),
      .compilationFailed, "set \(entry)")
  }

  /// Provides memory for the files that a graph names.
  ///
  /// The memory is read in place, and must outlive the session.
  func add(_ memory: [WeightMemory]) throws(EngineError) {
    guard !memory.isEmpty else { return }
    // The memory is only read, although the prototype is not const.
    let starts = unsafe memory.map { unsafe UnsafeMutablePointer<CChar>(bitPattern: $0.address) }
    let counts = memory.map(\.byteCount)
    try unsafe runtime.check(
      withTexts(memory.map(\.name)) { names in
        unsafe runtime.functions.add_external_files_in_memory(
          handle, names, starts, counts, memory.count)
      }, .compilationFailed, "give \(memory.count) files of weights")
  }

  /// Appends a provider; a session prefers earlier providers.
  private func append(_ settings: ProviderSettings) throws(EngineError) {
    switch settings.provider {
    case .cpu: return
    case .cuda: try appendCUDA(settings)
    case .tensorRT: try appendTensorRT(settings)
    case .coreML:
      let functions = runtime.functions
      try unsafe check(
        settings,
        withTexts(settings.entries.map(\.key)) { keys in
          unsafe withTexts(settings.entries.map(\.value)) { values in
            unsafe functions.append_provider(
              handle, "CoreML", keys, values, settings.entries.count)
          }
        })
    }
  }

  private func appendCUDA(_ settings: ProviderSettings) throws(EngineError) {
    let functions = runtime.functions
    var options: OpaquePointer?
    try unsafe check(settings, functions.create_cuda_options(&options))
    defer { runtime.free { unsafe functions.release_cuda_options(options) } }
    try unsafe check(
      settings,
      withTexts(settings.entries.map(\.key)) { keys in
        unsafe withTexts(settings.entries.map(\.value)) { values in
          unsafe functions.update_cuda_options(options, keys, values, settings.entries.count)
        }
      })
    try unsafe check(settings, functions.append_cuda(handle, options))
  }

  private func appendTensorRT(_ settings: ProviderSettings) throws(EngineError) {
    let functions = runtime.functions
    var options: OpaquePointer?
    try unsafe check(settings, functions.create_tensorrt_options(&options))
    defer { runtime.free { unsafe functions.release_tensorrt_options(options) } }
    try unsafe check(
      settings,
      withTexts(settings.entries.map(\.key)) { keys in
        unsafe withTexts(settings.entries.map(\.value)) { values in
          unsafe functions.update_tensorrt_options(options, keys, values, settings.entries.count)
        }
      })
    try unsafe check(settings, functions.append_tensorrt(handle, options))
  }

  /// Throws if a provider of the library's build cannot be used on this machine.
  private func check(
    _ settings: ProviderSettings, _ call: @autoclosure () -> OpaquePointer?
  ) throws(EngineError) {
    guard let failure = unsafe runtime.failure(call()) else { return }
    throw EngineError(
      code: .deviceUnavailable,
      message: "cannot use onnxruntime:\(settings.provider.deviceName): \(failure.words); "
        + settings.provider.needs)
  }
}

/// Calls a closure with texts as C strings.
@unsafe
private func withTexts<Result>(
  _ texts: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>?) -> Result
) -> Result {
  let copies = unsafe texts.map { unsafe strdup($0) }
  defer { unsafe copies.forEach { unsafe free($0) } }
  let list = unsafe copies.map { unsafe UnsafePointer($0) }
  return unsafe list.withUnsafeBufferPointer { unsafe body($0.baseAddress) }
}
