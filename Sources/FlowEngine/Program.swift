internal import FlowCore
public import FlowGraph

/// A compiled graph with its own memory, ready to run.
///
/// Inputs are written by port name, a run fills the outputs, and nothing is allocated in between.
///
/// A program belongs to one actor at a time. A run blocks that actor's thread (``DeviceQueue``).
/// Several programs of the same graph share its compiled form.
///
/// ```swift
/// let program = try await store.program(for: module)
/// program.write("sample", row: 0, sample)
/// try program.run()
/// let velocity = program.read("velocity", row: 0, as: Float.self) { $0.indices.map { i in $0[i] } }
/// ```
public final class Program {
  /// The origin of the program, its preparation time and its cost.
  public let report: EngineReport
  /// The inputs, in the order of the graph.
  public var inputs: [Port] { inputMemories.map(\.port) }
  /// The outputs, in the order of the graph.
  public var outputs: [Port] { outputMemories.map(\.port) }
  /// The time of the fastest run so far, or nil before the first.
  ///
  /// The minimum is robust against single slow runs, unlike the mean.
  public private(set) var fastestRun: Duration?

  private let inputMemories: [PortMemory]
  private let outputMemories: [PortMemory]
  private let bound: any BoundGraph
  private let compiled: any CompiledGraph
  /// The cores that the calling thread is confined to during a run; nil for all.
  private let cores: CoreSet?
  /// Keeps the weights mapped that the engine reads in place.
  private let module: GraphModule
  /// Marks the program as present in the log while it exists.
  private let presence: EngineLog.Presence

  /// Allocates memory for a graph compiled for a device.
  ///
  /// - Throws: `shapeMismatch` or `runFailed`, from the backend.
  init(
    _ compiled: any CompiledGraph, of module: GraphModule, on device: Device,
    report: EngineReport, log: EngineLog
  ) throws(EngineError) {
    let inputs = module.inputs.map { PortMemory($0) }
    let outputs = module.outputs.map { PortMemory($0) }
    bound = try compiled.bind(inputs: inputs, outputs: outputs)
    inputMemories = inputs
    outputMemories = outputs
    self.compiled = compiled
    cores = device.cores
    self.module = module
    self.report = report
    presence = log.add(report)
  }

  /// Compiles a graph without a store, on the calling thread.
  ///
  /// - Throws: errors of the backend.
  package convenience init(
    compiling module: GraphModule, with backend: any Backend, on device: Device,
    _ options: EngineOptions
  ) throws(EngineError) {
    let start = ContinuousClock.now
    let compiled = try backend.compile(module, on: device, options)
    try self.init(
      compiled, of: module, on: device,
      report: EngineReport(
        name: module.name, origin: .compiled, preparation: .now - start,
        operationCount: module.operationCount),
      log: EngineLog())
  }

  /// The graph's name.
  public var name: String { module.name }
  /// The floating-point operations per run in convolutions and matrix products.
  public var operationCount: Int { module.operationCount }

  /// Whether there is an input with a name.
  public func hasInput(_ name: PortName) -> Bool {
    inputMemories.contains { $0.port.name == name }
  }

  /// Calls a closure with the elements of an input for writing.
  ///
  /// - Precondition: there is such an input, and the element type matches.
  public func withInput<Element: BitwiseCopyable, Result>(
    _ name: PortName, as type: Element.Type,
    _ body: (inout MutableSpan<Element>) throws -> Result
  ) rethrows -> Result {
    try input(name).withElements(of: type, body)
  }

  /// Writes all elements of an input.
  ///
  /// - Precondition: there is such an input, and its element type and count match.
  public func write<Element: BitwiseCopyable>(_ name: PortName, _ source: Span<Element>) {
    input(name).withElements(of: Element.self) { input in
      precondition(
        input.count == source.count,
        "input \(name) has \(input.count) elements, got \(source.count)")
      for element in source.indices { input[element] = source[element] }
    }
  }

  /// Writes one batch row of an input, repeating the elements to fill the row.
  ///
  /// - Parameters:
  ///   - name: an input whose first axis is the batch.
  ///   - row: the row, from 0.
  ///   - source: the elements; their number divides the row's.
  /// - Precondition: there is such an input, and the element count divides its row.
  public func write<Element: BitwiseCopyable>(
    _ name: PortName, row: Int, _ source: Span<Element>
  ) {
    let memory = input(name)
    let count = memory.port.rowElementCount
    precondition(
      !source.isEmpty && count.isMultiple(of: source.count),
      "a row of input \(name) has \(count) elements, got \(source.count)")
    memory.withElements(of: Element.self) { input in
      for start in stride(from: row * count, to: (row + 1) * count, by: source.count) {
        for element in source.indices { input[start + element] = source[element] }
      }
    }
  }

  /// Writes one batch row of an input, padded with zeros.
  ///
  /// - Parameters:
  ///   - name: an input whose first axis is the batch.
  ///   - row: the row, from 0.
  ///   - source: the elements, at most as many as a row has.
  /// - Precondition: there is such an input, and the elements fit its row.
  public func writePadded(_ name: PortName, row: Int, _ source: Span<Float>) {
    let memory = input(name)
    let count = memory.port.rowElementCount
    precondition(
      source.count <= count, "a row of input \(name) has \(count) elements, got \(source.count)")
    memory.withElements(of: Float.self) { input in
      let start = row * count
      for element in source.indices { input[start + element] = source[element] }
      for element in source.count..<count { input[start + element] = 0 }
    }
  }

  /// Calls a closure with the elements of an output of the last run.
  ///
  /// - Precondition: there is such an output, and the element type matches.
  public func read<Element: BitwiseCopyable, Result>(
    _ name: PortName, as type: Element.Type, _ body: (Span<Element>) throws -> Result
  ) rethrows -> Result {
    try output(name).withElements(of: type, reading: body)
  }

  /// Calls a closure with the elements of one batch row of an output of the last run.
  ///
  /// - Precondition: there is such an output, the element type matches, and its first axis is the
  ///   batch.
  public func read<Element: BitwiseCopyable, Result>(
    _ name: PortName, row: Int, as type: Element.Type,
    _ body: (Span<Element>) throws -> Result
  ) rethrows -> Result {
    let memory = output(name)
    let count = memory.port.rowElementCount
    return try memory.withElements(of: type) { output in
      try body(output.extracting(row * count..<(row + 1) * count))
    }
  }

  /// Runs the graph on the current inputs, and waits.
  ///
  /// - Returns: the duration of the run.
  /// - Throws: `runFailed`, with the runtime's reason.
  @discardableResult
  public func run() throws(EngineError) -> Duration {
    let start = ContinuousClock.now
    try ThreadAffinity.within(cores) { () throws(EngineError) in try bound.run() }
    let time = ContinuousClock.now - start
    fastestRun = min(fastestRun ?? time, time)
    return time
  }

  /// The kernels with the mean times of all runs so far, in the order of the runtime; empty if the
  /// engine does not record them.
  ///
  /// - Throws: `runFailed`, with the runtime's reason.
  package func kernelTimes() throws(EngineError) -> [KernelTime] { try bound.kernelTimes() }

  /// A property of the engine, such as `INFERENCE_PRECISION_HINT`.
  ///
  /// - Throws: `runFailed` if the key is unknown.
  public func property(_ key: String) throws(EngineError) -> String {
    try compiled.property(key)
  }

  private func input(_ name: PortName) -> PortMemory {
    for memory in inputMemories where memory.port.name == name { return memory }
    preconditionFailure("\(module.name) has no input \(name), only \(inputs.map(\.name))")
  }

  private func output(_ name: PortName) -> PortMemory {
    for memory in outputMemories where memory.port.name == name { return memory }
    preconditionFailure("\(module.name) has no output \(name), only \(outputs.map(\.name))")
  }
}

extension Port {
  /// The number of elements at one index of the first axis.
  var rowElementCount: Int { shape.rank > 0 ? shape.elementCount / shape[0] : 1 }
}
