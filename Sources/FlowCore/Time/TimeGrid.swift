/// The times of a sampler between noise and data, in either direction.
///
/// Times are measured in sigma, the fraction of noise: a sample at sigma is `(1 - sigma) * data +
/// sigma * noise`, its velocity `noise - data`. A grid descends from its noisiest time to the final
/// time, usually 0; that of an inversion ascends. N steps have N + 1 times.
public struct TimeGrid: Equatable, Sendable {
  /// The times, strictly descending or strictly ascending, all in `0...1`.
  public let sigmas: [Double]

  /// Creates a grid from its times.
  ///
  /// - Precondition: there are at least two times, strictly descending, in `0...1`.
  public init(sigmas: [Double]) {
    precondition(sigmas.count >= 2, "a grid needs two times or more, got \(sigmas)")
    precondition(
      zip(sigmas, sigmas.dropFirst()).allSatisfy { $0 > $1 } && sigmas[0] <= 1
        && sigmas[sigmas.count - 1] >= 0,
      "the times of a grid descend strictly within 0...1, got \(sigmas)")
    self.sigmas = sigmas
  }

  /// Creates an evenly spaced grid down to 0: 1, .75, .5, .25, 0 for 4 steps.
  ///
  /// - Parameters:
  ///   - stepCount: the number of steps.
  ///   - first: the first time, in sigma.
  /// - Precondition: `stepCount` is positive, and `first` is above 0 and at most 1.
  public init(stepCount: Int, from first: Double = 1) {
    precondition(stepCount > 0, "stepCount must be positive, got \(stepCount)")
    self.init(sigmas: (0...stepCount).map { first * (1 - Double($0) / Double(stepCount)) })
  }

  /// Creates the rising grid of an inversion.
  ///
  /// - Parameter sigmas: the times.
  /// - Precondition: there are at least two times, strictly ascending, in `0...1`.
  public init(rising sigmas: [Double]) {
    self = TimeGrid(sigmas: sigmas.reversed()).reversed
  }

  private init(_ sigmas: [Double]) { self.sigmas = sigmas }

  /// The same times in reverse order.
  public var reversed: TimeGrid { TimeGrid(sigmas.reversed()) }

  /// Whether the times ascend, from data to noise.
  public var isRising: Bool { sigmas[0] < sigmas[1] }

  /// The number of steps: one less than the number of times.
  public var stepCount: Int { sigmas.count - 1 }
}

/// Evenly spaced numbers from `first` to `last`, both included; one number is `first`.
func linearSpace(from first: Double, to last: Double, count: Int) -> [Double] {
  guard count > 1 else { return [first] }
  return (0..<count).map { first + (last - first) * Double($0) / Double(count - 1) }
}
