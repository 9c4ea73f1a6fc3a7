public import FlowGraph
internal import Foundation

/// One compiled graph, ready to run: "run this graph on these tensors".
///
/// Inputs are written in place, a run reads them and fills the outputs, and nothing is allocated
/// in between. A session belongs to whoever holds it; an actor that owns one needs a thread of
/// its own, because a run blocks (``QueueExecutor``).
public struct Session: ~Copyable {
  /// How the session came to be.
  public enum Origin: Sendable {
    /// Compiled from the graph.
    case compiled
    /// Taken from the engine cache.
    case cached
  }

  /// The graph's name.
  public let name: String
  /// How the session came to be.
  public let origin: Origin
  /// The time it took to become ready.
  public let preparation: Duration

  private let compiled: CompiledModel
  private let request: InferRequest
  private let inputs: [DeviceTensor]
  private let outputs: [DeviceTensor]
  /// Keeps the weights mapped that the engine reads in place.
  private let model: ONNXModel
  /// Where the engine is yet to be kept.
  private var keeping: (cache: EngineCache, place: EngineCache.Place)?

  /// Compiles a graph, or takes it from the cache.
  ///
  /// - Parameters:
  ///   - model: the graph.
  ///   - configuration: device, threads and precision.
  ///   - cache: where engines are kept between processes, if anywhere. An engine of large weights
  ///     is kept by ``keep()``, since that takes as long as compiling it.
  public init(
    _ model: ONNXModel, configuration: EngineConfiguration, cache: EngineCache? = nil
  ) throws(EngineError) {
    let start = ContinuousClock.now
    let runtime = try Runtime.shared()
    try runtime.checkDevice(configuration.device)
    // What `AUTO` chooses may change from run to run, and it cannot be exported.
    let usable = configuration.device.hasPrefix("AUTO") ? nil : cache
    let place = try usable?.place(of: model, configuration: configuration)
    let compiled = try Self.engine(model, configuration, usable, place, runtime)
    let counts = try compiled.portCounts()
    guard counts == (model.inputs.count, model.outputs.count) else {
      throw EngineError(
        code: .modelUnreadable,
        message: "\(model.name) has \(model.inputs.count) inputs and \(model.outputs.count) "
          + "outputs, its engine \(counts.inputs) and \(counts.outputs)")
    }
    let request = try compiled.makeRequest()
    let inputs = try model.inputs.map { port throws(EngineError) in
      try DeviceTensor(port: port, runtime: runtime)
    }
    let outputs = try model.outputs.map { port throws(EngineError) in
      try DeviceTensor(port: port, runtime: runtime)
    }
    for (index, tensor) in inputs.enumerated() { try request.bind(input: index, to: tensor) }
    for (index, tensor) in outputs.enumerated() { try request.bind(output: index, to: tensor) }
    name = model.name
    origin = compiled.origin
    keeping = nil
    if let usable, let place, compiled.origin == .compiled {
      if model.weightsByteCount < Self.largeByteCount {
        usable.keep(compiled, at: place)
      } else {
        keeping = (usable, place)
      }
    }
    self.model = model
    self.compiled = compiled
    self.request = request
    self.inputs = inputs
    self.outputs = outputs
    preparation = .now - start
  }

  /// The bytes of weights from which on an engine is large.
  private static let largeByteCount = 64 << 20

  private static func engine(
    _ model: ONNXModel, _ configuration: EngineConfiguration, _ cache: EngineCache?,
    _ place: EngineCache.Place?, _ runtime: Runtime
  ) throws(EngineError) -> CompiledModel {
    if let cache, let place,
      let kept = try cache.engine(at: place, of: model, configuration: configuration)
    {
      return kept
    }
    return try runtime.compile(model, configuration: configuration)
  }

  /// Whether the engine was compiled and is yet to be kept in the cache.
  public var isUnkept: Bool { keeping != nil }

  /// Keeps a large engine in the cache, if it is not there yet.
  ///
  /// It takes as long as writing all weights as 32-bit floats: best done when nobody waits.
  public mutating func keep() {
    guard let (cache, place) = keeping else { return }
    keeping = nil
    cache.keep(compiled, at: place)
  }

  /// The floating-point operations of the convolutions and matrix products of a run.
  public var operationCount: Int { model.operationCount }

  /// Writes an input.
  ///
  /// - Precondition: there is such an input, and its elements are of that type.
  public func write<Element: BitwiseCopyable, Result>(
    input index: Int, as type: Element.Type,
    _ body: (inout MutableSpan<Element>) throws -> Result
  ) rethrows -> Result {
    try inputs[index].withElements(of: type, body)
  }

  /// Reads an output of the last run.
  ///
  /// - Precondition: there is such an output, and its elements are of that type.
  public func read<Element: BitwiseCopyable, Result>(
    output index: Int, as type: Element.Type, _ body: (Span<Element>) throws -> Result
  ) rethrows -> Result {
    try outputs[index].withElements(of: type, reading: body)
  }

  /// Runs the graph on what its inputs hold, and waits.
  public borrowing func run() throws(EngineError) { try request.run() }

  /// What the engine says of itself under a key, such as `INFERENCE_PRECISION_HINT`.
  public borrowing func property(_ key: String) throws(EngineError) -> String {
    try compiled.property(key)
  }
}

extension Runtime {
  func checkDevice(_ device: String) throws(EngineError) {
    let base = device.prefix { $0 != "." && $0 != ":" }
    guard
      base == "AUTO" || devices.contains(where: { $0 == device || $0.hasPrefix("\(base).") })
        || devices.contains(String(base)) && base == device
    else {
      throw EngineError(
        code: .deviceUnavailable,
        message: "there is no device '\(device)'; this machine has "
          + "\((devices + ["AUTO"]).joined(separator: ", "))")
    }
  }

  func compile(
    _ model: ONNXModel, configuration: EngineConfiguration
  ) throws(EngineError) -> CompiledModel {
    let bytes: [UInt8]
    do { bytes = try model.serialized(locatingWeightsBy: .address) } catch {
      throw EngineError(code: .modelUnreadable, message: error.message)
    }
    return try compile(bytes, named: model.name, configuration: configuration) {
      // OpenVINO has copied what it read: gigabytes that need not be there twice.
      model.releasePages()
    }
  }
}
