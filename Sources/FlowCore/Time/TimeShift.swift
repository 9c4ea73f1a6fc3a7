#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

/// A shift of a grid towards noise, which larger images need.
public enum TimeShift: Equatable, Sendable {
  /// A ratio: `s` becomes `ratio * s / (1 + (ratio - 1) * s)`, equation 23 of Esser et al., 2024
  /// (arXiv:2403.03206). A ratio of 1 changes nothing.
  case ratio(Double)
  /// An exponent `mu`: the ratio is `exp(mu)`, FLUX's notation.
  case exponential(mu: Double)

  /// The factor by which the odds of noise to data increase.
  public var ratio: Double {
    switch self {
    case .ratio(let ratio): ratio
    case .exponential(let mu): exp(mu)
    }
  }

  /// Shifts one time; 0 and 1 are unchanged.
  public func callAsFunction(_ sigma: Double) -> Double {
    ratio * sigma / (1 + (ratio - 1) * sigma)
  }
}

/// A shift that increases with image size, as in FLUX.1-dev.
///
/// The exponent (or, for `linear`, the ratio) is a linear function of the number of image tokens
/// through (`baseLength`, `baseShift`) and (`maximumLength`, `maximumShift`); `calculate_shift` of
/// diffusers' FLUX pipeline.
public struct DynamicTimeShift: Equatable, Sendable {
  /// The value of the linear function.
  public enum Kind: Sendable { case exponential, linear }

  /// The number of image tokens at which the shift is `baseShift`.
  public var baseLength = 256.0
  /// The number of image tokens at which the shift is `maximumShift`.
  public var maximumLength = 4096.0
  /// The shift at `baseLength`.
  public var baseShift = 0.5
  /// The shift at `maximumLength`.
  public var maximumShift = 1.15
  /// Whether the linear function gives an exponent or a ratio.
  public var kind = Kind.exponential

  /// Creates the shift of FLUX.1-dev's training.
  public init() {}

  /// The shift for a number of image tokens.
  public func shift(imageSequenceLength: Int) -> TimeShift {
    let slope = (maximumShift - baseShift) / (maximumLength - baseLength)
    let value = baseShift + (Double(imageSequenceLength) - baseLength) * slope
    return switch kind {
    case .exponential: .exponential(mu: value)
    case .linear: .ratio(value)
    }
  }
}
