/// How graphs are compiled and run.
public struct EngineOptions: Hashable, Sendable {
  /// The precision in which an engine may compute.
  public enum Precision: String, Sendable, CaseIterable {
    /// float32 throughout: images equal those of diffusers in float32.
    case float32 = "f32"
    /// bfloat16 if the device supports it: faster there, but images differ visibly from float32.
    case bfloat16 = "bf16"
    /// float16 if the device supports it.
    case float16 = "f16"
  }

  /// The number of threads, or nil for all cores.
  public var threadCount: Int?
  /// The precision; float32 is the default, for images that do not depend on the machine.
  public var precision: Precision
  /// Whether inputs of products with compressed weights may be rounded to 8 bits, for speed.
  ///
  /// Images differ visibly from those of float32. It affects graphs with `WeightCompression` only.
  public var quantizesActivations: Bool
  /// Whether runs record the time of each kernel (``Program/kernelTimes()``), which costs a little
  /// time itself.
  ///
  /// Engines that record are compiled; persisted ones do not record.
  package var recordsKernelTimes = false

  /// Creates options.
  ///
  /// - Parameters:
  ///   - threadCount: the number of threads, or nil for all cores.
  ///   - precision: the precision in which engines may compute.
  ///   - quantizesActivations: whether inputs of products with compressed weights may be rounded to
  ///     8 bits.
  public init(
    threadCount: Int? = nil, precision: Precision = .float32, quantizesActivations: Bool = false
  ) {
    self.threadCount = threadCount
    self.precision = precision
    self.quantizesActivations = quantizesActivations
  }
}
