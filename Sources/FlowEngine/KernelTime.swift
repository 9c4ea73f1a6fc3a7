/// A kernel of a compiled graph, and its time.
public struct KernelTime: Hashable, Sendable {
  /// The name of the graph's operator that it computes; of a fused kernel, that of one of them.
  public let node: String
  /// The kind of operator, by the runtime's name: `Convolution`.
  public let operation: String
  /// The runtime's name of the implementation: `brgconv_avx512_amx_BF16`.
  public let implementation: String
  /// The mean time of all runs so far, in whole microseconds.
  public let time: Duration

  /// Creates a kernel's time.
  ///
  /// - Parameters:
  ///   - node: the name of the graph's operator.
  ///   - operation: the kind of operator.
  ///   - implementation: the runtime's name of the implementation.
  ///   - time: the mean time of all runs so far.
  public init(node: String, operation: String, implementation: String, time: Duration) {
    self.node = node
    self.operation = operation
    self.implementation = implementation
    self.time = time
  }
}
