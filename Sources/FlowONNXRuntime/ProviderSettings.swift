internal import FlowEngine
internal import FlowGraph

/// A provider of a session with its options, as ONNX Runtime names them.
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

/// What a session is made with: the providers beside the CPU's, and the session's own entries.
struct SessionSettings: Equatable, Sendable {
  let providers: [ProviderSettings]
  let entries: [ProviderSettings.Entry]
  /// The number of threads, 0 for as many as there are cores.
  let threadCount: Int

  /// Where a provider keeps what it compiled of a graph: a folder, and what the names begin with.
  struct Cache: Equatable, Sendable {
    let folder: String
    /// The graph's name, and a hash of all that tells its checkpoint and its options from others.
    let prefix: String
  }
}

extension SessionSettings {
  /// - Parameters:
  ///   - provider: what runs the graph.
  ///   - options: threads and precision.
  ///   - isQuantized: whether the graph has layers in 8 bits.
  ///   - cache: where the provider may keep what it compiles, or nil for nowhere.
  /// - Throws: `compilationFailed` for a precision that the provider does not compute in.
  init(
    _ provider: ExecutionProvider, _ options: EngineOptions, isQuantized: Bool = false,
    cache: Cache? = nil
  ) throws(EngineError) {
    threadCount = options.threadCount ?? 0
    let shared: [ProviderSettings.Entry] = [
      // Mapped weights are read where they lie.
      .init("session.use_external_initializer_file_buffers_directly", "1"),
      // Threads sleep where they have no work: between runs they would take a core from others.
      .init("session.intra_op.allow_spinning", "0"),
      // Layers in few bits multiply in float32: activations are not rounded unsaid.
      .init("session.qdq_matmulnbits_accuracy_level", "1"),
    ]
    let isPlain = options.precision == .float32
    switch provider {
    case .cpu:
      guard isPlain else { throw Self.unsupported(options.precision, on: provider) }
      providers = []
      entries = shared
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
    // An operator that the provider does not take is an error, not one that the CPU runs unsaid.
    entries = shared + [.init("session.disable_cpu_ep_fallback", "1")]
  }

  /// The CUDA provider computes in the graph's own types; what a precision below float32 allows it
  /// are matrix products in TF32, whose mantissa has float16's 10 bits.
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
    // Squares of what a normalization reads go beyond float16's range.
    if isHalf { entries.append(.init("trt_layer_norm_fp32_fallback", "1")) }
    if let cache {
      entries += [
        .init("trt_engine_cache_enable", "1"), .init("trt_engine_cache_path", cache.folder),
        // TensorRT's own names know the graph and the device, not the weights.
        .init("trt_engine_cache_prefix", cache.prefix),
        .init("trt_timing_cache_enable", "1"), .init("trt_timing_cache_path", cache.folder),
      ]
    }
    return ProviderSettings(provider: .tensorRT(number), entries: entries)
  }

  private static func coreML(_ options: EngineOptions, _ cache: Cache?) -> ProviderSettings {
    // The Neural Engine computes in float16 alone.
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
  /// What a provider's cache calls the graph: a hash of its weights' identity and its operators tells
  /// it from that of any other checkpoint.
  ///
  /// - Throws: `modelUnreadable` for a graph that cannot be written down.
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
