/// The noise schedule of a diffusion model's training: the remaining signal at each timestep.
///
/// Ho et al., 2020 (arXiv:2006.11239): a sample at a timestep is `sqrt(alpha) * data + sqrt(1 -
/// alpha) * noise`, with alpha the cumulative product of `1 - beta` (`alphas_cumprod` in
/// diffusers).
public struct BetaSchedule: Equatable, Sendable {
  /// The spacing of the betas.
  public enum Kind: String, Sendable, CaseIterable {
    /// Linear.
    case linear
    /// Linear in the square root, as in Stable Diffusion's training.
    case scaledLinear = "scaled_linear"
  }

  /// The first beta, above 0.
  public var start = 0.00085
  /// The last beta, below 1.
  public var end = 0.012
  /// The spacing of the betas.
  public var kind = Kind.scaledLinear
  /// The number of training timesteps.
  public var count = 1000
  /// Whether the last timestep is pure noise (Lin et al., 2023, arXiv:2305.08891, algorithm 1).
  public var endsInNoise = false

  /// Creates the schedule of Stable Diffusion.
  public init() {}

  /// Alpha at each training timestep, descending.
  public func alphas() -> [Double] {
    let betas =
      switch kind {
      case .linear: linearSpace(from: start, to: end, count: count)
      case .scaledLinear:
        linearSpace(from: start.squareRoot(), to: end.squareRoot(), count: count).map { $0 * $0 }
      }
    var product = 1.0
    let alphas = betas.map { beta in
      product *= 1 - beta
      return product
    }
    guard endsInNoise, let first = alphas.first, let last = alphas.last, count > 1 else {
      return alphas
    }
    let (top, bottom) = (first.squareRoot(), last.squareRoot())
    return alphas.map { alpha in
      let root = (alpha.squareRoot() - bottom) * top / (top - bottom)
      return root * root
    }
  }
}

/// The meaning of a diffusion network's output.
public enum DiffusionPrediction: String, Sendable, CaseIterable {
  /// The noise in the sample.
  case epsilon
  /// `sqrt(alpha) * noise - sqrt(1 - alpha) * data` (Salimans and Ho, 2022, arXiv:2202.00512).
  case velocity = "v_prediction"
  /// The data itself.
  case data = "sample"

  /// The data as an affine function of sample and output, at a timestep whose alpha is given.
  func data(alpha: Double) -> (sample: Double, output: Double) {
    let (signal, noise) = (alpha.squareRoot(), (1 - alpha).squareRoot())
    return switch self {
    case .epsilon: (1 / signal, -noise / signal)
    case .velocity: (signal, -noise)
    case .data: (0, 1)
    }
  }

  /// The output that a sample has if its data is this reference: residual guidance uses it as the
  /// unconditional prediction.
  func residual(alpha: Double) -> StepPlan.Residual {
    let (signal, noise) = (alpha.squareRoot(), (1 - alpha).squareRoot())
    return switch self {
    case .epsilon: .init(sample: 1 / noise, reference: -signal / noise)
    case .velocity: .init(sample: signal / noise, reference: -1 / noise)
    case .data: .init(reference: 1)
    }
  }
}
