public import FlowGraph

/// A runtime that compiles graphs for devices and runs them, such as OpenVINO or ONNX Runtime.
///
/// A backend knows nothing of networks, images or caches. ``EngineStore`` calls it, shares what it
/// compiles, and owns the memory that runs read and write.
public protocol Backend: Sendable {
  /// The backend part of a device name, in lowercase: `openvino`.
  var name: String { get }

  /// The available devices.
  ///
  /// - Throws: `runtimeMissing` or `runtimeUnsupported` where the runtime cannot be loaded.
  func devices() throws(EngineError) -> [Device]

  /// The device of a name, or nil if there is none; a backend may accept names that it does not
  /// list.
  ///
  /// - Throws: `runtimeMissing` or `runtimeUnsupported` where the runtime cannot be loaded.
  func device(named name: String) throws(EngineError) -> Device?

  /// Everything that can change the results of a compiled graph: the runtime's version, the
  /// device's model and capabilities, the options. It is part of the key of persisted engines.
  ///
  /// - Throws: `runtimeMissing`, or `deviceUnavailable` if the device does not respond.
  func fingerprint(
    of device: Device, _ options: EngineOptions
  ) throws(EngineError) -> [String]

  /// What there is to know of a device.
  ///
  /// - Throws: `runtimeMissing`, or `deviceUnavailable` where the device does not answer.
  func details(of device: Device) throws(EngineError) -> DeviceDetails

  /// The precision in which a device computes fastest, by its own capabilities.
  ///
  /// - Throws: `runtimeMissing`, or `deviceUnavailable` where the device does not answer.
  func fastestPrecision(of device: Device) throws(EngineError) -> PrecisionFinding

  /// The runtime's release and file.
  ///
  /// - Throws: `runtimeMissing` or `runtimeUnsupported`, with what is missing and the remedy.
  func runtimeDescription() throws(EngineError) -> String

  /// Whether engines of a device can be persisted and loaded again.
  func canPersist(on device: Device) -> Bool

  /// Compiles a graph for a device.
  ///
  /// - Throws: `modelUnreadable` for a graph that the runtime does not accept, `compilationFailed`
  ///   if it cannot compile the graph.
  func compile(
    _ module: GraphModule, on device: Device, _ options: EngineOptions
  ) throws(EngineError) -> any CompiledGraph

  /// Loads an exported graph from a file.
  ///
  /// - Throws: `compilationFailed` where the runtime does not accept the file.
  func load(
    _ file: EngineFile, of module: GraphModule, on device: Device, _ options: EngineOptions
  ) throws(EngineError) -> any CompiledGraph
}

/// A graph compiled for a device; several programs may share it.
public protocol CompiledGraph: AnyObject, Sendable {
  /// The numbers of inputs and outputs that the runtime sees.
  ///
  /// - Throws: `modelUnreadable`.
  func portCounts() throws(EngineError) -> (inputs: Int, outputs: Int)

  /// Binds the ports to memory, which the result keeps alive.
  ///
  /// - Throws: `shapeMismatch` if the memory does not match the graph, or `runFailed`.
  func bind(
    inputs: [PortMemory], outputs: [PortMemory]
  ) throws(EngineError) -> any BoundGraph

  /// Exports the compiled graph to a file that the backend can load.
  ///
  /// - Throws: `cacheUnusable` if it cannot be written.
  func export(to path: String) throws(EngineError)

  /// A property of the compiled graph, such as `INFERENCE_PRECISION_HINT`.
  ///
  /// - Throws: `runFailed` if the key is unknown.
  func property(_ key: String) throws(EngineError) -> String
}

/// A compiled graph bound to its memory.
public protocol BoundGraph: AnyObject {
  /// Runs the graph once, and waits.
  ///
  /// - Throws: `runFailed`, with the runtime's reason.
  func run() throws(EngineError)

  /// The kernels with the mean times of all runs so far, if they are recorded; those of less than a
  /// microsecond are left out. Empty for runtimes that do not measure them.
  ///
  /// - Throws: `runFailed`, with the runtime's reason.
  func kernelTimes() throws(EngineError) -> [KernelTime]
}

extension BoundGraph {
  /// None.
  public func kernelTimes() throws(EngineError) -> [KernelTime] { [] }
}
