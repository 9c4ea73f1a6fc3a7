/// How graphs are compiled and run.
public struct EngineOptions: Hashable, Sendable {
  /// The precision in which an engine may compute.
  public enum Precision: String, Sendable, CaseIterable {
    /// 32-bit floats throughout: the images that diffusers gives in float32.
    case float32 = "f32"
    /// bfloat16 where the device has it: faster there, and images differ visibly from float32.
    case bfloat16 = "bf16"
    /// float16 where the device has it.
    case float16 = "f16"
  }

  /// The number of threads, or nil for all cores.
  public var threadCount: Int?
  /// The precision; float32 unless speed is worth more than sameness.
  public var precision: Precision

  /// Creates options.
  ///
  /// - Parameters:
  ///   - threadCount: the number of threads, or nil for all cores.
  ///   - precision: the precision in which engines may compute.
  public init(threadCount: Int? = nil, precision: Precision = .float32) {
    self.threadCount = threadCount
    self.precision = precision
  }
}
