internal import FlowEngine
internal import FlowGraph

/// A session's provider with its options, in ONNX Runtime's terms.
struct ProviderSettings: Equatable, Sendable {
  let provider: ExecutionProvider
  let entries: [Entry]

  /// A key and its value.
  struct Entry: Equatable, Sendable, CustomStringConvertible {
    let key: String
    let value: String

    init(_ key: String, _ value: String) { (self.key, self.value) = (key, value) }

    var description: String { "\(key)=\(value)" }
  }
}

/// The settings of a session: the providers besides the CPU's, and the session's own entries.
struct SessionSettings: Equatable, Sendable {
  let providers: [ProviderSettings]
  let entries: [ProviderSettings.Entry]
  /// The number of threads, 0 for one per core.
  let threadCount: Int

  /// Where a provider persists a compiled graph: a folder, and a file name prefix.
  struct Cache: Equatable, Sendable {
    let folder: String
    /// The graph's name, and a hash that identifies its checkpoint and its options.
    let prefix: String
  }
}

extension SessionSettings {
  /// - Parameters:
  ///   - provider: the provider that runs the graph.
  ///   - options: threads and precision.
  ///   - cores: the cores that its threads run on; nil for all.
  ///   - isQuantized: whether the graph has 8-bit layers.
  ///   - cache: where the provider may persist the compiled graph, or nil.
  /// - Throws: `compilationFailed` for a precision that the provider does not support.
  init(
    _ provider: ExecutionProvider, _ options: EngineOptions, cores: CoreSet? = nil,
    isQuantized: Bool = false, cache: Cache? = nil
  ) throws(EngineError) {
    threadCount =
      cores.map { min(options.threadCount ?? $0.count, $0.count) } ?? options.threadCount ?? 0
    let shared: [ProviderSettings.Entry] = [
      // Mapped weights are read in place.
      .init("session.use_external_initializer_file_buffers_directly", "1"),
      // Idle threads sleep instead of spinning, which would block cores between runs.
      .init("session.intra_op.allow_spinning", "0"),
      // Layers with low-bit weights compute in float32, without rounding activations.
      .init("session.qdq_matmulnbits_accuracy_level", "1"),
    ]
    let isPlain = options.precision == .float32
    switch provider {
    case .cpu:
      guard isPlain else { throw Self.unsupported(options.precision, on: provider) }
      providers = []
      entries = shared + Self.affinities(cores, threadCount: threadCount)
      return
    case .cuda(let number):
      providers = [Self.cuda(number, options)]
    case .tensorRT(let number):
      providers = [
        Self.tensorRT(number, options, isQuantized: isQuantized, cache), Self.cuda(number, options),
      ]
    case .coreML:
      guard options.precision != .bfloat16 else {
        throw Self.unsupported(options.precision, on: provider)
      }
      providers = [Self.coreML(options, cache)]
    }
    // An operator that the provider does not support is an error instead of a silent CPU fallback.
    entries = shared + [.init("session.disable_cpu_ep_fallback", "1")]
  }

  /// The cores of the threads that the session makes, counted from 1; the calling thread is the first
  /// of all, and the engine's owner confines it.
  private static func affinities(
    _ cores: CoreSet?, threadCount: Int
  ) -> [ProviderSettings.Entry] {
    guard let cores, threadCount > 1 else { return [] }
    let list = cores.cores.prefix(threadCount).dropFirst().map { "\($0 + 1)" }
    return [.init("session.intra_op_thread_affinities", list.joined(separator: ";"))]
  }

  /// The CUDA provider computes in the graph's own types.
  ///
  /// A precision below float32 allows it TF32 matrix products, whose mantissa has 10 bits like
  /// float16's.
  private static func cuda(_ number: Int, _ options: EngineOptions) -> ProviderSettings {
    ProviderSettings(
      provider: .cuda(number),
      entries: [
        .init("device_id", "\(number)"),
        .init("use_tf32", options.precision == .float32 ? "0" : "1"),
        .init("arena_extend_strategy", "kSameAsRequested"),
      ])
  }

  private static func tensorRT(
    _ number: Int, _ options: EngineOptions, isQuantized: Bool, _ cache: Cache?
  ) -> ProviderSettings {
    let isHalf = options.precision == .float16
    var entries: [ProviderSettings.Entry] = [
      .init("device_id", "\(number)"),
      .init("trt_fp16_enable", isHalf ? "1" : "0"),
      .init("trt_bf16_enable", options.precision == .bfloat16 ? "1" : "0"),
      .init("trt_int8_enable", isQuantized ? "1" : "0"),
    ]
    // Squares in normalizations exceed float16's range.
    if isHalf { entries.append(.init("trt_layer_norm_fp32_fallback", "1")) }
    if let cache {
      entries += [
        .init("trt_engine_cache_enable", "1"), .init("trt_engine_cache_path", cache.folder),
        // TensorRT's own file names reflect the graph and the device, but not the weights.
        .init("trt_engine_cache_prefix", cache.prefix),
        .init("trt_timing_cache_enable", "1"), .init("trt_timing_cache_path", cache.folder),
      ]
    }
    return ProviderSettings(provider: .tensorRT(number), entries: entries)
  }

  private static func coreML(_ options: EngineOptions, _ cache: Cache?) -> ProviderSettings {
    // The Neural Engine computes in float16 only.
    let isHalf = options.precision == .float16
    var entries: [ProviderSettings.Entry] = [
      .init("ModelFormat", "MLProgram"),
      .init("MLComputeUnits", isHalf ? "ALL" : "CPUAndGPU"),
      .init("RequireStaticInputShapes", "1"),
      .init("AllowLowPrecisionAccumulationOnGPU", isHalf ? "1" : "0"),
    ]
    if let cache {
      entries.append(.init("ModelCacheDirectory", "\(cache.folder)/\(cache.prefix)"))
    }
    return ProviderSettings(provider: .coreML, entries: entries)
  }

  private static func unsupported(
    _ precision: EngineOptions.Precision, on provider: ExecutionProvider
  ) -> EngineError {
    let precisions = provider == .cpu ? "f32" : "f32 and f16"
    return EngineError(
      code: .compilationFailed,
      message: "onnxruntime:\(provider.deviceName) computes in \(precisions), got "
        + "\(precision.rawValue); choose f32, or a device of OpenVINO for \(precision.rawValue)")
  }
}

extension GraphModule {
  /// The graph's name in a provider's cache: a hash of its weights' identity and its operators
  /// distinguishes checkpoints.
  ///
  /// - Throws: `modelUnreadable` for a graph that cannot be serialized.
  func cachePrefix(_ fingerprint: [String]) throws(EngineError) -> String {
    let graph: [UInt8]
    do { graph = try onnx(locatingWeightsBy: .file) } catch {
      throw EngineError(code: .modelUnreadable, message: error.message)
    }
    let lines = fingerprint + weightsIdentity
    let safe = String(name.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })
    return "\(safe)-\(ContentHash.of(Array(lines.joined(separator: "\n").utf8) + graph))"
  }
}
