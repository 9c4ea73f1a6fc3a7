/// The ODE or SDE solver that follows a velocity.
///
/// The stochastic solvers replace a part of the sample's remaining noise by fresh noise, so that
/// errors of earlier steps are forgotten. They need a flow from Gaussian noise to data, and
/// descending times. If the part shrinks with the step, as in all but the two with a constant rate,
/// many small steps have the distributions of the flow. A constant rate is for few steps: each step
/// lowers the variance, however small it is, for Gaussian data by `A * B * (1 - q)^2 / (A + B)`,
/// with q the fraction of noise that remains, and A and B the variances of data and noise in the
/// sample.
public enum Solver: Hashable, Sendable {
  /// Euler's method: a straight line along the velocity; first order, exact if the flow is
  /// straight.
  case euler
  /// The mean of the velocities at both ends; second order, two evaluations per step except the
  /// last.
  case heun
  /// Two-step Adams-Bashforth: extrapolates from the last two velocities; second order, one
  /// evaluation per step; the first step is Euler's.
  case adamsBashforth2
  /// The velocity at the midpoint of the step, `next = x + h * v(x + h / 2 * v(x))`; second order,
  /// two evaluations per step.
  ///
  /// RF-Solver (Wang et al., 2024, arXiv:2411.04746), whose second derivative
  /// wangjiangshan0725/RF-Solver-Edit takes over half a step.
  case midpoint
  /// The velocity at the midpoint of the step, which is found with the velocity of the previous
  /// step; second order, one evaluation per step and one more for the first.
  ///
  /// FireFlow (Deng et al., 2024, arXiv:2412.07517;
  /// HolmesShuan/FireFlow-Fast-Inversion-of-Rectified-Flow-for-Image-Semantic-Editing):
  /// `middle = x + h / 2 * previous v(middle)`, `next = x + h * v(middle)`.
  case fireFlow
  /// Euler's step with part of the predicted noise replaced: `sqrt(1 - rate^2)` of it stays, and
  /// `rate` times fresh noise is added.
  ///
  /// `rectified_flow/samplers/noise_refresh_sampler.py` of lqiang67/rectified-flow. The rate ranges
  /// from 0, which is Euler's step, to 1, which keeps none of the noise.
  case noiseRefresh(rate: Double = 0.5)
  /// Euler's step with part of the predicted noise replaced: `1 - rate` of it stays, and `sqrt(1 -
  /// (1 - rate)^2)` times fresh noise is added.
  ///
  /// `rectified_flow/samplers/stochastic_curved_euler_sampler.py` of lqiang67/rectified-flow.
  case stochasticCurved(rate: ReplacementRate = .constant(0.5))
  /// Euler's step beyond the next sigma, to `next * (1 - scale * h)`, and noise that leads back.
  ///
  /// Hu et al., 2024 (arXiv:2411.19415), and
  /// `rectified_flow/samplers/overshooting_sampler.py` of lqiang67/rectified-flow. A scale of 0 is
  /// Euler's step.
  case overshooting(scale: Double = 1)
  /// A stochastic differential equation with the same marginal distributions.
  case stochastic(StochasticEquation)
  /// Euler's step along the velocity, extrapolated from an average of earlier velocities: `average
  /// + gain * (velocity - average)`.
  ///
  /// `rectified_flow/samplers/ema_sampler.py` of lqiang67/rectified-flow. A gain of 1 is Euler's
  /// step, larger ones are history guidance; the decay, 0 to 1, is the fraction of the average that
  /// remains after a step.
  case velocityAveraging(gain: Double = 1, decay: Double = 0.9)
  /// Euler's steps of which only some evaluate the velocity; others extrapolate it from the last
  /// two evaluations.
  case taylorSeer(TaylorSeer = TaylorSeer())

  /// The part of the predicted noise that a step replaces.
  public enum ReplacementRate: Hashable, Sendable {
    /// The same part in every step, from 0, which is Euler's step, to 1.
    case constant(Double)
    /// The part that denoising diffusion models replace (Ho et al., 2020, arXiv:2006.11239).
    case ddpm
  }
}

extension Solver: CaseIterable {
  /// All solvers, with their published parameters.
  public static let allCases: [Solver] = [
    .euler, .heun, .adamsBashforth2, .midpoint, .fireFlow, .noiseRefresh(), .stochasticCurved(),
    .overshooting(), .stochastic(.stable), .stochastic(.euler), .velocityAveraging(),
    .taylorSeer(),
  ]

  /// Whether its steps draw noise.
  public var isStochastic: Bool {
    switch self {
    case .noiseRefresh, .stochasticCurved, .overshooting, .stochastic: true
    case .euler, .heun, .adamsBashforth2, .midpoint, .fireFlow, .velocityAveraging, .taylorSeer:
      false
    }
  }

  /// Checks that its parameters are in range.
  func check() throws(PlanError) {
    switch self {
    case .euler, .heun, .adamsBashforth2, .midpoint, .fireFlow: return
    case .noiseRefresh(let rate), .stochasticCurved(.constant(let rate)):
      if (0...1).contains(rate) { return }
    case .stochasticCurved(.ddpm): return
    case .overshooting(let scale): if scale >= 0, scale.isFinite { return }
    case .stochastic(let equation): if equation.isValid { return }
    case .velocityAveraging(let gain, let decay):
      if gain.isFinite, (0...1).contains(decay) { return }
    case .taylorSeer(let plan): if plan.isValid { return }
    }
    throw PlanError(
      code: .solverUnsupported,
      message: "the solver \(rawValue) has a parameter out of range; write \(Self.spellings)")
  }
}
