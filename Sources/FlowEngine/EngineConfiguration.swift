/// How graphs are compiled and run.
public struct EngineConfiguration: Hashable, Sendable {
  /// The precision in which an engine may compute.
  public enum Precision: String, Sendable, CaseIterable {
    /// 32-bit floats throughout: the pictures that diffusers gives in float32.
    case float32 = "f32"
    /// bfloat16 where the device has it: faster there, and pictures differ visibly from float32.
    case bfloat16 = "bf16"
    /// float16 where the device has it.
    case float16 = "f16"
  }

  /// The device, as the runtime names it: `CPU`, `GPU`, `GPU.1`, `NPU`, or `AUTO`.
  public var device = "CPU"
  /// The number of threads, or nothing to let the runtime take all cores.
  public var threadCount: Int?
  /// The precision; float32 unless speed is worth more than sameness.
  public var precision = Precision.float32

  /// Creates the configuration that suits every machine: the CPU, all its cores, float32.
  public init() {}

  var properties: [(key: String, value: String)] {
    var properties = [
      ("PERFORMANCE_HINT", "LATENCY"), ("NUM_STREAMS", "1"),
      ("INFERENCE_PRECISION_HINT", precision.rawValue),
    ]
    if device != "CPU" { properties.removeAll { $0.0 == "NUM_STREAMS" } }
    if let threadCount { properties.append(("INFERENCE_NUM_THREADS", "\(threadCount)")) }
    return properties
  }
}
