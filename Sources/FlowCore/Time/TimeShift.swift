#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

/// How a grid is crowded towards noise, as larger images need.
public enum TimeShift: Equatable, Sendable {
  /// A ratio: `s` becomes `ratio * s / (1 + (ratio - 1) * s)`, equation 23 of Esser et al., 2024
  /// (arXiv:2403.03206). A ratio of 1 changes nothing.
  case ratio(Double)
  /// An exponent `mu`: the ratio is `exp(mu)`, as FLUX writes it.
  case exponential(mu: Double)

  /// The ratio by which odds of noise against data grow.
  public var ratio: Double {
    switch self {
    case .ratio(let ratio): ratio
    case .exponential(let mu): exp(mu)
    }
  }

  /// Moves one time; 0 and 1 stay where they are.
  public func callAsFunction(_ sigma: Double) -> Double {
    ratio * sigma / (1 + (ratio - 1) * sigma)
  }
}

/// A shift that grows with the image, as FLUX.1-dev uses it.
///
/// The exponent (or, for `linear`, the ratio) is a straight line through
/// (`baseLength`, `baseShift`) and (`maximumLength`, `maximumShift`) at the length of the sequence
/// of image tokens; `calculate_shift` of diffusers' FLUX pipeline.
public struct DynamicTimeShift: Equatable, Sendable {
  /// What the line gives.
  public enum Kind: Sendable { case exponential, linear }

  /// The number of image tokens at which the shift is `baseShift`.
  public var baseLength = 256.0
  /// The number of image tokens at which the shift is `maximumShift`.
  public var maximumLength = 4096.0
  /// The shift at `baseLength`.
  public var baseShift = 0.5
  /// The shift at `maximumLength`.
  public var maximumShift = 1.15
  /// Whether the line gives an exponent or a ratio.
  public var kind = Kind.exponential

  /// Creates the shift that FLUX.1-dev was trained with.
  public init() {}

  /// The shift for an image of so many image tokens.
  public func shift(imageSequenceLength: Int) -> TimeShift {
    let slope = (maximumShift - baseShift) / (maximumLength - baseLength)
    let value = baseShift + (Double(imageSequenceLength) - baseLength) * slope
    return switch kind {
    case .exponential: .exponential(mu: value)
    case .linear: .ratio(value)
    }
  }
}
