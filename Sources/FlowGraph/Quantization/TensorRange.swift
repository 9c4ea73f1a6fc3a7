/// What was seen of one tensor over the runs of a calibration, and the range that it gets.
public struct TensorRange: Sendable {
  /// How a range is chosen.
  public enum Choice: String, Sendable, CaseIterable {
    /// All that was seen.
    case extremes
    /// All but one in ten thousand elements at each end.
    case percentile
    /// The share of all that was seen with the least mean squared rounding error.
    case error
  }

  /// The least and the greatest of all elements.
  public private(set) var bounds: ClosedRange<Float>?
  /// Some of the elements of each run.
  public private(set) var elements: [Float] = []
  /// Whether all elements were finite.
  public private(set) var isFinite = true

  /// Creates the record of a tensor that was not seen yet.
  public init() {}

  /// Creates a record from what another one held.
  ///
  /// - Parameters:
  ///   - bounds: the least and the greatest of all elements; nil where none was seen.
  ///   - elements: some of the elements of each run.
  ///   - isFinite: whether all elements were finite.
  public init(bounds: ClosedRange<Float>?, elements: [Float], isFinite: Bool) {
    (self.bounds, self.elements, self.isFinite) = (bounds, elements, isFinite)
  }

  /// Takes a run in.
  ///
  /// - Parameters:
  ///   - minimum: the least of the tensor's elements.
  ///   - maximum: the greatest.
  ///   - sample: some of them.
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

  /// The range for quantization; nothing where the tensor was not seen, or is not finite.
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
      // The extremes have their part: rare elements are the ones that a small range loses.
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
