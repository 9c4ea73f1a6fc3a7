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
  /// Whether what is multiplied by compressed weights may be rounded to 8 bits, for speed.
  ///
  /// Images differ visibly from those of float32. It matters with `WeightCompression` only.
  public var quantizesActivations: Bool

  /// Creates options.
  ///
  /// - Parameters:
  ///   - threadCount: the number of threads, or nil for all cores.
  ///   - precision: the precision in which engines may compute.
  ///   - quantizesActivations: whether what is multiplied by compressed weights may be rounded to
  ///     8 bits.
  public init(
    threadCount: Int? = nil, precision: Precision = .float32, quantizesActivations: Bool = false
  ) {
    self.threadCount = threadCount
    self.precision = precision
    self.quantizesActivations = quantizesActivations
  }
}
