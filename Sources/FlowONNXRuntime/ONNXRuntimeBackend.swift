public import FlowEngine
public import FlowGraph
internal import Foundation

/// ONNX Runtime as a backend: CPUs, NVIDIA GPUs with CUDA or TensorRT, and Apple GPUs with CoreML.
///
/// The runtime is located and loaded on first use (``ONNXRuntime``). Its devices are `CPU` and,
/// depending on the library's build, `cuda:0`, `tensorrt:0` and `coreml`.
public struct ONNXRuntimeBackend: Backend {
  /// `onnxruntime`.
  public let name = "onnxruntime"

  private let cacheFolder: String?
  private let given: ONNXRuntime?

  /// Creates the backend without loading the runtime.
  ///
  /// - Parameter cacheFolder: the folder in which TensorRT and CoreML persist compiled graphs, or
  ///   nil for none.
  public init(cacheFolder: String? = "\(EngineCache.defaultFolder())/onnxruntime") {
    self.cacheFolder = cacheFolder
    given = nil
  }

  /// Creates the backend with a loaded runtime.
  init(_ runtime: ONNXRuntime, cacheFolder: String?) {
    given = runtime
    self.cacheFolder = cacheFolder
  }

  private func runtime() throws(EngineError) -> ONNXRuntime {
    if let given { return given }
    return try ONNXRuntime.shared()
  }

  /// `CPU`, and the first device of each provider in the library's build.
  ///
  /// - Throws: `runtimeMissing` or `runtimeUnsupported`, with the searched locations.
  public func devices() throws(EngineError) -> [Device] {
    let providers = try runtime().providers
    let accelerators = ExecutionProvider.accelerators.filter {
      providers.contains($0.libraryName)
    }
    return ([.cpu] + accelerators).map { Device(backend: name, name: $0.deviceName) }
  }

  /// A device by its name; `cuda` and `tensorrt` stand for the first GPU.
  ///
  /// - Throws: `runtimeMissing` or `runtimeUnsupported`, with the searched locations;
  ///   `deviceUnavailable` for a provider that is missing in the library's build, with the package
  ///   that contains it.
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
      "threads=\(options.threadCount ?? 0)", "cores=\(device.cores?.count ?? 0)",
      "precision=\(options.precision.rawValue)",
    ]
  }

  /// The precisions of the device's provider; the runtime tells no more.
  ///
  /// - Throws: `deviceUnavailable` for a device of another backend.
  public func details(of device: Device) throws(EngineError) -> DeviceDetails {
    let provider = try provider(of: device)
    let precisions = EngineOptions.Precision.allCases.filter { precision in
      (try? SessionSettings(provider, EngineOptions(precision: precision))) != nil
    }
    return DeviceDetails(precisions: precisions)
  }

  /// float16 for accelerators, whose providers all support it, and float32 for the CPU, whose
  /// kernels have no other precision.
  ///
  /// - Throws: `deviceUnavailable` for a device of another backend.
  public func fastestPrecision(of device: Device) throws(EngineError) -> PrecisionFinding {
    guard try details(of: device).precisions.contains(.float16) else {
      return PrecisionFinding(
        .float32, reason: "onnxruntime:\(device.name) computes in float32 only")
    }
    return PrecisionFinding(.float16, reason: "onnxruntime:\(device.name) supports float16")
  }

  /// The runtime's release and the file that was loaded.
  ///
  /// - Throws: `runtimeMissing` or `runtimeUnsupported`, with where the runtime was looked for.
  public func runtimeDescription() throws(EngineError) -> String {
    let runtime = try runtime()
    return "\(runtime.version), \(runtime.path)"
  }

  /// Returns false.
  ///
  /// ONNX Runtime can only serialize the optimized model of a CPU session. That file contains all
  /// weights once more, besides the mapped checkpoint, and loading packs them again: it saves about
  /// a third of a short compilation. TensorRT and CoreML persist their compiled graphs themselves,
  /// in the cache folder.
  public func canPersist(on device: Device) -> Bool { false }

  /// Compiles a graph for a device.
  ///
  /// - Throws: `modelUnreadable` for a graph that ONNX Runtime does not accept, `compilationFailed`
  ///   if it cannot compile it or not in that precision, `deviceUnavailable` if the provider does
  ///   not work on this machine.
  public func compile(
    _ module: GraphModule, on device: Device, _ options: EngineOptions
  ) throws(EngineError) -> any CompiledGraph {
    let runtime = try runtime()
    let provider = try provider(of: device)
    try runtime.require(provider)
    let settings = try SessionSettings(
      provider, options, cores: device.cores,
      isQuantized: module.nodes.contains { $0.operation == "QuantizeLinear" },
      cache: try cache(of: module, on: device, provider, options))
    let session = try Session(module, on: provider, settings, runtime: runtime)
    runtime.registerExit(after: provider.libraryName)
    // Packed weights need not be in memory twice; weights read in place are fetched again on
    // demand.
    module.releasePages()
    return session
  }

  /// Always throws, since nothing is persisted.
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
        message: "'\(device)' is not a device of ONNX Runtime; expected CPU, cuda:0, tensorrt:0 or "
          + "coreml")
    }
    return provider
  }

  /// Where a compiling provider persists the result.
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
