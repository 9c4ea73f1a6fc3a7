public import FlowEngine
internal import FlowModels
internal import FlowONNXRuntime
internal import FlowOpenVINO

extension EngineStore {
  /// The backends that are there to choose from, best first.
  public static let backends: [any Backend] = [OpenVINOBackend(), ONNXRuntimeBackend()]

  /// The engines of the CPU in float32, shared by all who ask for no others, and persisted nowhere.
  public static let standard = EngineStore()

  /// Sets a store up with the backends of this package; the runtime is loaded with the first
  /// program.
  ///
  /// ```swift
  /// let engines = EngineStore(
  ///   device: try DeviceName(parsing: "GPU.1"), options: EngineOptions(precision: .float16),
  ///   cache: EngineCache(folder: EngineCache.defaultFolder()))
  /// let generator = try Generator(checkpoint: .starter(), engines: engines)
  /// ```
  ///
  /// - Parameters:
  ///   - device: the device.
  ///   - options: threads and precision.
  ///   - cache: where engines are persisted between processes, if anywhere.
  ///   - queue: the thread that runs the programs; stores that share a device share it.
  public init(
    device: DeviceName = .cpu, options: EngineOptions = EngineOptions(),
    cache: EngineCache? = nil, queue: DeviceQueue = DeviceQueue()
  ) {
    self.init(
      backends: Self.backends, device: device, options: options, cache: cache, queue: queue)
  }
}
