/// Statistics of one tensor over the runs of a calibration, and the resulting range.
public struct TensorRange: Sendable {
  /// How a range is chosen.
  public enum Choice: String, Sendable, CaseIterable {
    /// The full observed range.
    case extremes
    /// The range without one in ten thousand elements at each end.
    case percentile
    /// The share of the observed range with the least mean squared rounding error.
    case error
  }

  /// The minimum and maximum of all elements.
  public private(set) var bounds: ClosedRange<Float>?
  /// Sampled elements of each run.
  public private(set) var elements: [Float] = []
  /// Whether all elements were finite.
  public private(set) var isFinite = true

  /// Creates an empty record.
  public init() {}

  /// Creates a record from stored statistics.
  ///
  /// - Parameters:
  ///   - bounds: the minimum and maximum of all elements; nil if none was observed.
  ///   - elements: sampled elements of each run.
  ///   - isFinite: whether all elements were finite.
  public init(bounds: ClosedRange<Float>?, elements: [Float], isFinite: Bool) {
    (self.bounds, self.elements, self.isFinite) = (bounds, elements, isFinite)
  }

  /// Adds the statistics of a run.
  ///
  /// - Parameters:
  ///   - minimum: the minimum of the tensor's elements.
  ///   - maximum: the maximum.
  ///   - sample: sampled elements.
  public mutating func add(minimum: Float, maximum: Float, sample: Span<Float>) {
    guard minimum.isFinite, maximum.isFinite else {
      isFinite = false
      return
    }
    let (lower, upper) = (bounds?.lowerBound ?? minimum, bounds?.upperBound ?? maximum)
    bounds = min(lower, minimum)...max(upper, maximum)
    elements.reserveCapacity(elements.count + sample.count)
    for index in sample.indices {
      elements.append(sample[index])
      if !sample[index].isFinite { isFinite = false }
    }
  }

  /// The quantization range; nil if the tensor was not observed or is not finite.
  public func range(by choice: Choice) -> AffineRange? {
    guard let bounds, isFinite else { return nil }
    switch choice {
    case .extremes: return AffineRange(bounds)
    case .percentile:
      guard !elements.isEmpty else { return AffineRange(bounds) }
      let sorted = elements.sorted()
      let cut = Int(Double(sorted.count) * 1e-4)
      return AffineRange(sorted[cut]...sorted[sorted.count - 1 - cut])
    case .error:
      // The extremes are included: a small range would lose such rare elements.
      let seen = elements + [bounds.lowerBound, bounds.upperBound]
      let ranges = (6...20).map { share in
        let share = Float(share) / 20
        return AffineRange(bounds.lowerBound * share...bounds.upperBound * share)
      }
      return ranges.map { (range: $0, error: $0.squaredError(of: seen)) }
        .min { $0.error < $1.error }?.range
    }
  }
}

extension AffineRange {
  fileprivate func squaredError(of elements: [Float]) -> Double {
    var sum = 0.0
    for element in elements {
      let error = Double(element - nearest(to: element))
      sum += error * error
    }
    return sum
  }
}
