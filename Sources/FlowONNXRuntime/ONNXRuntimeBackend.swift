public import FlowEngine
public import FlowGraph
internal import Foundation

/// ONNX Runtime as a backend: CPUs, NVIDIA's GPUs by CUDA or TensorRT, and Apple's by CoreML.
///
/// The runtime is looked for and loaded when it is first needed (``ONNXRuntime``). Its devices are
/// `CPU`, and as the library was built `cuda:0`, `tensorrt:0`, `coreml`.
public struct ONNXRuntimeBackend: Backend {
  /// `onnxruntime`.
  public let name = "onnxruntime"

  private let cacheFolder: String?
  private let given: ONNXRuntime?

  /// Creates the backend; nothing is loaded yet.
  ///
  /// - Parameter cacheFolder: where TensorRT and CoreML keep what they compile, or nil for nowhere.
  public init(cacheFolder: String? = "\(EngineCache.defaultFolder())/onnxruntime") {
    self.cacheFolder = cacheFolder
    given = nil
  }

  /// Creates the backend with a runtime that is loaded.
  init(_ runtime: ONNXRuntime, cacheFolder: String?) {
    given = runtime
    self.cacheFolder = cacheFolder
  }

  private func runtime() throws(EngineError) -> ONNXRuntime {
    if let given { return given }
    return try ONNXRuntime.shared()
  }

  /// `CPU`, and the first device of each provider that the library was built with.
  ///
  /// - Throws: `runtimeMissing` or `runtimeUnsupported`, with where the runtime was looked for.
  public func devices() throws(EngineError) -> [Device] {
    let providers = try runtime().providers
    let accelerators = ExecutionProvider.accelerators.filter {
      providers.contains($0.libraryName)
    }
    return ([.cpu] + accelerators).map { Device(backend: name, name: $0.deviceName) }
  }

  /// A device by its name; `cuda` and `tensorrt` stand for the first GPU.
  ///
  /// - Throws: `runtimeMissing` or `runtimeUnsupported`, with where the runtime was looked for;
  ///   `deviceUnavailable` for a provider that the library was built without, with the package that
  ///   carries it.
  public func device(named name: String) throws(EngineError) -> Device? {
    guard let provider = ExecutionProvider(deviceName: name) else { return nil }
    try runtime().require(provider)
    return Device(backend: self.name, name: provider.deviceName)
  }

  /// The runtime's version and build, the device, the number of cores and the options.
  ///
  /// - Throws: `runtimeMissing`, or `deviceUnavailable` for a device of another backend.
  public func fingerprint(
    of device: Device, _ options: EngineOptions
  ) throws(EngineError) -> [String] {
    let runtime = try runtime()
    let provider = try provider(of: device)
    return [
      name, runtime.version, runtime.build, provider.deviceName,
      "\(ProcessInfo.processInfo.activeProcessorCount)",
      "threads=\(options.threadCount ?? 0)", "precision=\(options.precision.rawValue)",
    ]
  }

  /// Never.
  ///
  /// What ONNX Runtime can write of a CPU session is an optimized model. It holds all weights once
  /// more, beside the checkpoint that is mapped anyway, and they are packed again when it is loaded:
  /// of the time of a compilation, which is short, it saves about a third. TensorRT and CoreML
  /// persist what they compile themselves, in the cache folder.
  public func canPersist(on device: Device) -> Bool { false }

  /// Compiles a graph for a device.
  ///
  /// - Throws: `modelUnreadable` for a graph that ONNX Runtime does not accept, `compilationFailed`
  ///   where it cannot compile it or not in that precision, `deviceUnavailable` where the provider
  ///   does not work on this machine.
  public func compile(
    _ module: GraphModule, on device: Device, _ options: EngineOptions
  ) throws(EngineError) -> any CompiledGraph {
    let runtime = try runtime()
    let provider = try provider(of: device)
    try runtime.require(provider)
    let settings = try SessionSettings(
      provider, options, isQuantized: module.nodes.contains { $0.operation == "QuantizeLinear" },
      cache: try cache(of: module, on: device, provider, options))
    let session = try Session(module, on: provider, settings, runtime: runtime)
    runtime.registerExit(after: provider.libraryName)
    // What was packed need not be there twice; what is read in place comes back when it is read.
    module.releasePages()
    return session
  }

  /// Nothing is persisted, so there is nothing to load.
  ///
  /// - Throws: `compilationFailed`.
  public func load(
    _ file: EngineFile, of module: GraphModule, on device: Device, _ options: EngineOptions
  ) throws(EngineError) -> any CompiledGraph {
    throw EngineError(
      code: .compilationFailed,
      message: "cannot load \(module.name) from a file: ONNX Runtime's sessions are not persisted")
  }

  private func provider(of device: Device) throws(EngineError) -> ExecutionProvider {
    guard device.backend == name, let provider = ExecutionProvider(deviceName: device.name) else {
      throw EngineError(
        code: .deviceUnavailable,
        message: "'\(device)' is no device of ONNX Runtime; expected CPU, cuda:0, tensorrt:0 or "
          + "coreml")
    }
    return provider
  }

  /// Where a provider that compiles keeps the result.
  private func cache(
    of module: GraphModule, on device: Device, _ provider: ExecutionProvider,
    _ options: EngineOptions
  ) throws(EngineError) -> SessionSettings.Cache? {
    guard let cacheFolder else { return nil }
    switch provider {
    case .cpu, .cuda: return nil
    case .tensorRT, .coreML: break
    }
    do {
      try FileManager.default.createDirectory(
        atPath: cacheFolder, withIntermediateDirectories: true)
    } catch {
      throw EngineError(
        code: .cacheUnusable,
        message: "cannot make '\(cacheFolder)': \(error.localizedDescription)")
    }
    return SessionSettings.Cache(
      folder: cacheFolder, prefix: try module.cachePrefix(fingerprint(of: device, options)))
  }
}
