public import FlowEngine
internal import FlowModels
internal import FlowONNXRuntime
internal import FlowOpenVINO

extension EngineStore {
  /// The available backends, in order of preference.
  public static let backends: [any Backend] = [OpenVINOBackend(), ONNXRuntimeBackend()]

  /// Engines of the CPU in float32, shared by all users of the default, and not persisted.
  public static let standard = EngineStore()

  /// Creates a store with the backends of this package.
  ///
  /// The runtime is loaded with the first program.
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
  ///   - cache: the cache in which engines are persisted between processes, if any.
  ///   - queue: the thread that runs the programs; stores of one device share it.
  public init(
    device: DeviceName = .cpu, options: EngineOptions = EngineOptions(),
    cache: EngineCache? = nil, queue: DeviceQueue = DeviceQueue()
  ) {
    self.init(
      backends: Self.backends, device: device, options: options, cache: cache, queue: queue)
  }
}
