/// The guidance of each step by the prompt, and its cost.
///
/// Every kind except `none` and `distilled` extrapolates from the unconditional to the conditional
/// prediction, `unconditional + scale * (conditional - unconditional)`: equation 6 of Ho and
/// Salimans, 2022 (arXiv:2207.12598), with diffusers' definition of the scale, where 1 is the
/// conditional prediction itself. They differ in the source of the unconditional prediction.
public enum Guidance: Equatable, Sendable {
  /// The conditional prediction itself.
  case none
  /// The unconditional prediction is evaluated: two rows per step.
  case full(scale: Float)
  /// The unconditional prediction points to the reference image, times `delta`: one row per step.
  ///
  /// Residual guidance (Kodaira et al., 2023, arXiv:2312.12491, section 3.2) in closed form: in a
  /// flow the velocity `(sample - reference) / sigma`, see ``StepPlan/Residual``. A delta below 1
  /// weakens its effect.
  case selfNegative(scale: Float, delta: Float = 1)
  /// The unconditional prediction is evaluated in the first step, and the image that it leads to is
  /// the reference of later steps: one row per step and one more for the first.
  case onetimeNegative(scale: Float, delta: Float = 1)
  /// The network itself reads the scale, as latent consistency models do: one row per step.
  case distilled(scale: Float)

  /// The maximum number of rows per step.
  public var rowsPerStep: Int { rowCount(atStage: 0) }

  /// The number of rows of a step.
  ///
  /// - Parameter stage: the index of the plan's row.
  public func rowCount(atStage stage: Int) -> Int {
    switch self {
    case .none, .selfNegative, .distilled: 1
    case .onetimeNegative: stage == 0 ? 2 : 1
    case .full: 2
    }
  }

  /// Whether the negative prompt is used.
  public var readsUnprompted: Bool { rowsPerStep == 2 }

  /// Whether a reference image is required from the start.
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

  /// Whether its parameters are finite.
  public var isFinite: Bool {
    switch self {
    case .selfNegative(let scale, let delta), .onetimeNegative(let scale, let delta):
      scale.isFinite && delta.isFinite
    case .none, .full, .distilled: scale.isFinite
    }
  }
}
