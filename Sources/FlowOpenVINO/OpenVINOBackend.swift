public import FlowEngine
public import FlowGraph

/// OpenVINO as a backend: CPUs, and Intel's GPUs and NPUs.
///
/// The runtime is located and loaded on first use (``OpenVINORuntime``).
public struct OpenVINOBackend: Backend {
  /// `openvino`.
  public let name = "openvino"

  /// Creates the backend without loading the runtime.
  public init() {}

  /// The available devices, such as `CPU` and `GPU.0`.
  ///
  /// - Throws: `runtimeMissing` or `runtimeUnsupported`, with the searched locations.
  public func devices() throws(EngineError) -> [Device] {
    (try OpenVINORuntime.shared().devices() + ["AUTO"]).map { Device(backend: name, name: $0) }
  }

  /// A device by its name; `GPU` stands for the first GPU, and `AUTO`, with or without a list
  /// (`AUTO:GPU,CPU`), for OpenVINO's choice.
  ///
  /// - Throws: `runtimeMissing` or `runtimeUnsupported`, with the searched locations.
  public func device(named name: String) throws(EngineError) -> Device? {
    let runtime = try OpenVINORuntime.shared()
    let isThere =
      if name == "CPU" {
        // Listing the devices would load the plugins of GPUs and NPUs.
        (try? runtime.property("FULL_DEVICE_NAME", of: name)) != nil
      } else if name.prefix(while: { $0 != "." && $0 != ":" }) == "AUTO" {
        true
      } else {
        try runtime.devices().contains { $0 == name || $0.hasPrefix("\(name).") }
      }
    return isThere ? Device(backend: self.name, name: name) : nil
  }

  /// The runtime's version, the device's name and capabilities, the number of cores and the
  /// options.
  ///
  /// - Throws: `runtimeMissing`, or `deviceUnavailable` if the device does not respond.
  public func fingerprint(
    of device: Device, _ options: EngineOptions
  ) throws(EngineError) -> [String] {
    let runtime = try OpenVINORuntime.shared()
    return [
      name, runtime.version, device.name,
      try runtime.property("FULL_DEVICE_NAME", of: device.name),
      try runtime.property("OPTIMIZATION_CAPABILITIES", of: device.name),
      "\(OpenVINORuntime.coreCount)",
    ] + options.properties(on: device).map { "\($0.key)=\($0.value)" }
  }

  /// The device's full name, the memory of a GPU or an NPU, and the precisions among its abilities;
  /// nothing for what OpenVINO composes.
  ///
  /// - Throws: `runtimeMissing`, or `deviceUnavailable` where the device does not answer.
  public func details(of device: Device) throws(EngineError) -> DeviceDetails {
    let runtime = try OpenVINORuntime.shared()
    guard canPersist(on: device) else { return DeviceDetails() }
    let abilities = try runtime.property("OPTIMIZATION_CAPABILITIES", of: device.name)
      .split { !$0.isLetter && !$0.isNumber }
    let names: [(EngineOptions.Precision, Substring)] = [
      (.float32, "FP32"), (.bfloat16, "BF16"), (.float16, "FP16"),
    ]
    let kind = device.name.prefix { $0 != "." }
    let memory = try? runtime.property("\(kind)_DEVICE_TOTAL_MEM_SIZE", of: device.name)
    var details = DeviceDetails(
      fullName: try runtime.property("FULL_DEVICE_NAME", of: device.name),
      memoryByteCount: memory.flatMap { Int($0) },
      precisions: names.filter { abilities.contains($0.1) }.map(\.0))
    details.hasOwnMemory =
      (try? runtime.property("DEVICE_TYPE", of: device.name))?.lowercased() == "discrete"
    return details
  }

  /// By the CPU's instruction sets, since the runtime lists emulated precisions too; float16 for
  /// GPUs and NPUs that state it; float32 for what OpenVINO composes.
  ///
  /// - Throws: `runtimeMissing`, or `deviceUnavailable` where the device does not answer.
  public func fastestPrecision(of device: Device) throws(EngineError) -> PrecisionFinding {
    if device.name == "CPU" { return CPUFeatures.current.fastestPrecision }
    guard try details(of: device).precisions.contains(.float16) else {
      return PrecisionFinding(.float32, reason: "\(device.name) states no float16")
    }
    return PrecisionFinding(.float16, reason: "\(device.name) states float16")
  }

  /// The runtime's release and the file that was loaded.
  ///
  /// - Throws: `runtimeMissing` or `runtimeUnsupported`, with where the runtime was looked for.
  public func runtimeDescription() throws(EngineError) -> String {
    let runtime = try OpenVINORuntime.shared()
    return "\(runtime.version), \(runtime.path)"
  }

  /// Whether engines can be exported: not with `AUTO`, which may choose another device in each run
  /// and cannot be exported.
  public func canPersist(on device: Device) -> Bool { !device.name.hasPrefix("AUTO") }

  /// Compiles a graph for a device.
  ///
  /// - Throws: `modelUnreadable` for a graph that OpenVINO does not accept, `compilationFailed` if
  ///   it cannot compile the graph.
  public func compile(
    _ module: GraphModule, on device: Device, _ options: EngineOptions
  ) throws(EngineError) -> any CompiledGraph {
    let bytes: [UInt8]
    do { bytes = try module.onnx(locatingWeightsBy: .address) } catch {
      throw EngineError(code: .modelUnreadable, message: error.message)
    }
    let runtime = try OpenVINORuntime.shared()
    let compiled = try runtime.compile(
      bytes, named: module.name, on: device.name, options.properties(on: device)
    ) {
      // OpenVINO has copied the weights; the mapped pages would hold gigabytes twice.
      module.releasePages()
    }
    runtime.registerExit(after: Self.kind(of: module, options))
    return compiled
  }

  /// Loads an exported graph from a file.
  ///
  /// - Throws: `compilationFailed` if OpenVINO does not accept the file.
  public func load(
    _ file: EngineFile, of module: GraphModule, on device: Device, _ options: EngineOptions
  ) throws(EngineError) -> any CompiledGraph {
    // The property would hold for the whole process.
    precondition(!options.recordsKernelTimes, "engines that record kernel times are compiled")
    let runtime = try OpenVINORuntime.shared()
    let compiled = try runtime.load(
      file, named: module.name, on: device.name, options.properties(on: device))
    runtime.registerExit(after: Self.kind(of: module, options))
    return compiled
  }

  /// A key for graphs whose compilation may use other parts of OpenVINO: the operators and element
  /// types.
  private static func kind(of module: GraphModule, _ options: EngineOptions) -> String {
    let operations = Set(module.nodes.map(\.operation)).sorted()
    let types = Set(
      module.weights.map(\.typeName) + module.derived.map(\.elements.rawValue)
    ).sorted()
    return (operations + types + [options.precision.rawValue]).joined(separator: " ")
  }
}

extension EngineOptions {
  /// The options as OpenVINO properties.
  ///
  /// All of them are set explicitly: loading an engine sets them for the whole process, so an
  /// omitted property would keep the value of the previous engine.
  func properties(on device: Device) -> [(key: String, value: String)] {
    let isCPU = device.name == "CPU"
    // The most threads, where the device is some cores.
    let threads = device.cores.map { min(threadCount ?? $0.count, $0.count) } ?? threadCount
    return [("PERFORMANCE_HINT", "LATENCY")] + (isCPU ? [("NUM_STREAMS", "1")] : [])
      + [("INFERENCE_PRECISION_HINT", precision.rawValue)]
      + (recordsKernelTimes ? [("PERF_COUNT", "YES")] : [])
      // By default, the CPU rounds inputs of products with compressed weights to 8 bits.
      + (isCPU ? [("DYNAMIC_QUANTIZATION_GROUP_SIZE", quantizesActivations ? "32" : "0")] : [])
      + (isCPU || threads != nil ? [("INFERENCE_NUM_THREADS", "\(threads ?? 0)")] : [])
      // OpenVINO's own pinning moves the calling thread to the first cores of the machine, where all
      // processes with few threads would meet. Other systems than Linux have none.
      + (isCPU ? Self.pinning(isOn: device.cores == nil && !Self.isFew(threads)) : [])
  }

  private static func pinning(isOn: Bool) -> [(key: String, value: String)] {
    #if os(Linux)
      [("ENABLE_CPU_PINNING", isOn ? "YES" : "NO")]
    #else
      []
    #endif
  }

  /// Whether a number of threads leaves processors of the machine free.
  private static func isFew(_ threads: Int?) -> Bool {
    threads.map { (1..<OpenVINORuntime.coreCount).contains($0) } ?? false
  }
}
