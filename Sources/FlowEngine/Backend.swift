public import FlowGraph

/// A runtime that compiles graphs for devices and runs them: OpenVINO, and others after it.
///
/// A backend knows nothing of networks, images or caches. ``EngineStore`` calls it, keeps what it
/// compiles, and owns the memory that runs read and write.
public protocol Backend: Sendable {
  /// The name before the colon of a device's name, in lowercase: `openvino`.
  var name: String { get }

  /// The devices that are there.
  ///
  /// - Throws: `runtimeMissing` or `runtimeUnsupported` where the runtime cannot be loaded.
  func devices() throws(EngineError) -> [Device]

  /// The device of a name, or nil where there is none; a backend may know names beside those that
  /// it lists.
  ///
  /// - Throws: `runtimeMissing` or `runtimeUnsupported` where the runtime cannot be loaded.
  func device(named name: String) throws(EngineError) -> Device?

  /// All that can change what a graph compiled for a device computes: the runtime's version, the
  /// device's model and abilities, the options. It is a part of the key of persisted engines.
  ///
  /// - Throws: `runtimeMissing`, or `deviceUnavailable` where the device does not answer.
  func fingerprint(
    of device: Device, _ options: EngineOptions
  ) throws(EngineError) -> [String]

  /// Whether engines of a device can be persisted and loaded again.
  func canPersist(on device: Device) -> Bool

  /// Compiles a graph for a device.
  ///
  /// - Throws: `modelUnreadable` for a graph that the runtime does not accept, `compilationFailed`
  ///   where it cannot compile it.
  func compile(
    _ module: GraphModule, on device: Device, _ options: EngineOptions
  ) throws(EngineError) -> any CompiledGraph

  /// Loads a compiled graph from a file that it was exported to.
  ///
  /// - Throws: `compilationFailed` where the runtime does not accept the file.
  func load(
    _ file: EngineFile, of module: GraphModule, on device: Device, _ options: EngineOptions
  ) throws(EngineError) -> any CompiledGraph
}

/// A graph compiled for a device; several programs may be made of it.
public protocol CompiledGraph: AnyObject, Sendable {
  /// The numbers of inputs and outputs that the runtime sees.
  ///
  /// - Throws: `modelUnreadable`.
  func portCounts() throws(EngineError) -> (inputs: Int, outputs: Int)

  /// Prepares runs that read from and write to some memory, which the result keeps.
  ///
  /// - Throws: `shapeMismatch` where the memory is not what the graph takes, or `runFailed`.
  func bind(
    inputs: [PortMemory], outputs: [PortMemory]
  ) throws(EngineError) -> any BoundGraph

  /// Writes the compiled graph to a file, from which the backend can load it.
  ///
  /// - Throws: `cacheUnusable` where it cannot be written.
  func export(to path: String) throws(EngineError)

  /// What the runtime says of the compiled graph under a key, such as `INFERENCE_PRECISION_HINT`.
  ///
  /// - Throws: `runFailed` where it knows no such key.
  func property(_ key: String) throws(EngineError) -> String
}

/// A compiled graph with the memory that it reads and writes.
public protocol BoundGraph: AnyObject {
  /// Runs the graph once, and waits.
  ///
  /// - Throws: `runFailed`, with the runtime's reason.
  func run() throws(EngineError)
}
