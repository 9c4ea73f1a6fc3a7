internal import CONNXRuntime
internal import FlowEngine
internal import FlowGraph

/// A graph prepared by ONNX Runtime for a device.
@safe
final class Session: CompiledGraph {
  let runtime: ONNXRuntime
  let name: String
  private let settings: SessionSettings
  /// Keeps the weights mapped that the session reads in place.
  private let module: GraphModule
  // Written once, before the object is shared; a session may be used from any thread.
  private nonisolated(unsafe) let handle: OpaquePointer

  /// Prepares a graph.
  ///
  /// - Throws: `modelUnreadable` for a graph that ONNX Runtime does not accept, `compilationFailed`
  ///   if it cannot prepare it, with the operators that a provider does not support.
  init(
    _ module: GraphModule, on provider: ExecutionProvider, _ settings: SessionSettings,
    runtime: ONNXRuntime
  ) throws(EngineError) {
    let (model, memory): ([UInt8], [WeightMemory])
    do { (model, memory) = try module.onnxWithMemory() } catch {
      throw EngineError(code: .modelUnreadable, message: error.message)
    }
    let options = try SessionOptions(runtime: runtime)
    try options.apply(settings)
    try options.add(memory)
    let (session, failure) = unsafe runtime.createSession(model, options)
    if let failure {
      let left = try runtime.operators(
        leftBy: provider, of: model, memory, settings, after: failure)
      throw EngineError(
        code: failure.isOfGraph ? .modelUnreadable : .compilationFailed,
        message: "cannot compile \(module.name) for onnxruntime:\(provider.deviceName): "
          + "\(failure.words)\(left)")
    }
    guard let session = unsafe session else {
      throw EngineError(
        code: .compilationFailed, message: "ONNX Runtime made no session of \(module.name)")
    }
    self.runtime = runtime
    name = module.name
    self.module = module
    self.settings = settings
    unsafe handle = session
  }

  deinit { runtime.free { unsafe runtime.functions.release_session(handle) } }

  /// The numbers of inputs and outputs.
  func portCounts() throws(EngineError) -> (inputs: Int, outputs: Int) {
    var inputs = 0
    var outputs = 0
    try unsafe runtime.check(
      runtime.functions.session_input_count(handle, &inputs), .modelUnreadable,
      "count the inputs of \(name)")
    try unsafe runtime.check(
      runtime.functions.session_output_count(handle, &outputs), .modelUnreadable,
      "count the outputs of \(name)")
    return (inputs, outputs)
  }

  /// Binds the ports to memory.
  func bind(
    inputs: [PortMemory], outputs: [PortMemory]
  ) throws(EngineError) -> any BoundGraph {
    var binding: OpaquePointer?
    try unsafe runtime.check(
      runtime.functions.create_binding(handle, &binding), .runFailed, "prepare a run of \(name)")
    return unsafe try SessionBinding(
      adopting: binding, of: handle, session: self, inputs: inputs, outputs: outputs)
  }

  /// Always throws: see ``ONNXRuntimeBackend/canPersist(on:)``.
  func export(to path: String) throws(EngineError) {
    throw EngineError(
      code: .cacheUnusable,
      message: "cannot write \(name) to '\(path)': ONNX Runtime's sessions are not persisted")
  }

  /// An option of the session, by ONNX Runtime's key.
  func property(_ key: String) throws(EngineError) -> String {
    let entries =
      settings.entries + settings.providers.flatMap(\.entries) + [
        .init("intra_op_num_threads", "\(settings.threadCount)")
      ]
    guard let entry = entries.first(where: { $0.key == key }) else {
      throw EngineError(
        code: .runFailed,
        message: "cannot read \(key) of \(name): it was made with "
          + entries.map(\.description).joined(separator: ", "))
    }
    return entry.value
  }
}

extension ONNXRuntime {
  /// The operators that a provider leaves to the CPU, as the end of an error message; empty for
  /// other failures.
  ///
  /// The library reports only that there are such operators. Which ones they are is known of a
  /// session that allows the CPU.
  fileprivate func operators(
    leftBy provider: ExecutionProvider, of model: [UInt8], _ memory: [WeightMemory],
    _ settings: SessionSettings, after failure: Failure
  ) throws(EngineError) -> String {
    guard failure.words.contains("fallback to CPU EP") else { return "" }
    guard let assignments = unsafe functions.session_assignments,
      let assigned = unsafe functions.assigned_provider,
      let nodesOf = unsafe functions.assigned_nodes,
      let nameOf = unsafe functions.assigned_node_name,
      let operatorOf = unsafe functions.assigned_node_operator
    else { return "; ONNX Runtime 1.24 or later reports which" }
    let options = try SessionOptions(runtime: self)
    try options.apply(SessionSettings(allowingCPUIn: settings))
    try options.add(memory)
    let (session, _) = unsafe createSession(model, options)
    guard let session = unsafe session else { return "" }
    defer { free { unsafe functions.release_session(session) } }
    var graphs: UnsafePointer<OpaquePointer?>?
    var count = 0
    try unsafe check(assignments(session, &graphs, &count), .compilationFailed, "list the graph")
    var names: [String] = []
    for index in 0..<count {
      var text: UnsafePointer<CChar>?
      let graph = unsafe graphs?[index]
      try unsafe check(assigned(graph, &text), .compilationFailed, "read a provider's name")
      guard unsafe Self.text(text) == ExecutionProvider.cpu.libraryName else { continue }
      var nodes: UnsafePointer<OpaquePointer?>?
      var nodeCount = 0
      try unsafe check(nodesOf(graph, &nodes, &nodeCount), .compilationFailed, "list operators")
      for index in 0..<nodeCount {
        let node = unsafe nodes?[index]
        try unsafe check(operatorOf(node, &text), .compilationFailed, "read an operator")
        let operation = unsafe Self.text(text)
        try unsafe check(nameOf(node, &text), .compilationFailed, "read an operator's name")
        names.append("\(operation) '\(unsafe Self.text(text))'")
      }
    }
    let shown = names.prefix(8).joined(separator: ", ")
    let rest = names.count > 8 ? " and \(names.count - 8) more" : ""
    return "; \(provider.deviceName) does not support \(shown)\(rest)"
  }

  private static func text(_ words: UnsafePointer<CChar>?) -> String {
    unsafe words.map { unsafe String(cString: $0) } ?? ""
  }
}

extension SessionSettings {
  /// The same session with CPU fallback allowed and the assignment of operators recorded.
  fileprivate init(allowingCPUIn settings: SessionSettings) {
    providers = settings.providers
    threadCount = settings.threadCount
    entries =
      settings.entries.filter { $0.key != "session.disable_cpu_ep_fallback" }
      + [.init("session.record_ep_graph_assignment_info", "1")]
  }
}
