/// How strongly a prompt steers each step, and what that costs.
public enum Guidance: Equatable, Sendable {
  /// The prompted output as it is.
  case none
  /// Extrapolates past an unprompted (or negatively prompted) evaluation, two rows a step.
  ///
  /// Ho and Salimans, 2022 (arXiv:2207.12598), with the scale as diffusers counts it: 1 is the
  /// prompted output itself.
  case full(scale: Float)

  /// How many rows a step evaluates.
  public var rowsPerStep: Int {
    switch self {
    case .none: 1
    case .full: 2
    }
  }
}
