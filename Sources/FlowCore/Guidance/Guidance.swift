/// How strongly a prompt steers each step, and what that costs.
///
/// Every kind but `none` and `distilled` extrapolates from an unprompted output to the prompted
/// one, `unprompted + scale * (prompted - unprompted)`: equation 6 of Ho and Salimans, 2022
/// (arXiv:2207.12598), with the scale as diffusers counts it, 1 being the prompted output itself.
/// They differ in where the unprompted output comes from.
public enum Guidance: Equatable, Sendable {
  /// The prompted output as it is.
  case none
  /// The unprompted output is evaluated, two rows a step.
  case full(scale: Float)
  /// The unprompted output is the one that leads to the reference image, times `delta`; one row
  /// a step.
  ///
  /// Residual guidance (Kodaira et al., 2023, arXiv:2312.12491, section 3.2) in closed form: in a
  /// flow the velocity `(sample - reference) / sigma`, see ``StepPlan/Residual``. A delta below 1
  /// softens what is taken away.
  case selfNegative(scale: Float, delta: Float = 1)
  /// The unprompted output is evaluated in the first step, and where it leads is the reference of
  /// the steps after it; one row a step and one more for the first.
  case onetimeNegative(scale: Float, delta: Float = 1)
  /// The network itself reads the scale, as latent consistency models do; one row a step.
  case distilled(scale: Float)

  /// The most rows that a step evaluates.
  public var rowsPerStep: Int { rowCount(atStage: 0) }

  /// How many rows a step evaluates.
  ///
  /// - Parameter stage: the index of the plan's row.
  public func rowCount(atStage stage: Int) -> Int {
    switch self {
    case .none, .selfNegative, .distilled: 1
    case .onetimeNegative: stage == 0 ? 2 : 1
    case .full: 2
    }
  }

  /// Whether an unprompted conditioning is read.
  public var readsUnprompted: Bool { rowsPerStep == 2 }

  /// Whether a reference image must be there from the start.
  public var needsReference: Bool {
    if case .selfNegative = self { true } else { false }
  }

  /// The scale; 1 without guidance.
  public var scale: Float {
    switch self {
    case .none: 1
    case .full(let scale), .distilled(let scale): scale
    case .selfNegative(let scale, _), .onetimeNegative(let scale, _): scale
    }
  }

  /// Whether its numbers are numbers.
  public var isFinite: Bool {
    switch self {
    case .selfNegative(let scale, let delta), .onetimeNegative(let scale, let delta):
      scale.isFinite && delta.isFinite
    case .none, .full, .distilled: scale.isFinite
    }
  }
}
