#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

/// A stochastic differential equation with the marginal distributions of a flow, and its step.
///
/// `rectified_flow/samplers/sde_sampler.py` of lqiang67/rectified-flow: before the sample follows
/// the velocity, `w = min(scale * h * sigma^power, sigma)` of the predicted noise is removed and
/// fresh noise is added, with h the length of the step in sigma.
public struct StochasticEquation: Hashable, Sendable {
  /// The amount of fresh noise.
  public enum Noise: String, Sendable, CaseIterable {
    /// The amount that preserves the variance: `sqrt(sigma^2 - (sigma - w)^2)`.
    case stable
    /// The amount of the Euler-Maruyama method: `sqrt(2 * sigma * w)`, equal for small steps.
    case euler
  }

  /// The step of the sample along the velocity.
  public enum Step: String, Sendable, CaseIterable {
    /// Mixes the predicted data and the refreshed noise at the next sigma: the step down to data
    /// removes the fresh noise again.
    case curved
    /// Along the velocity before the noise was refreshed: the step down to data leaves the fresh
    /// noise in the sample.
    case euler
  }

  /// The amount of fresh noise.
  public var noise: Noise
  /// The step of the sample along the velocity.
  public var step: Step
  /// The factor of the noise that is replaced, at least 0; 0 is Euler's step.
  public var scale = 1.0
  /// The power of sigma in the amount of noise that is replaced.
  public var power = 1.0

  /// Creates an equation.
  public init(noise: Noise, step: Step) {
    self.noise = noise
    self.step = step
  }

  /// The repository's default: stable noise, a curved step.
  public static let stable = StochasticEquation(noise: .stable, step: .curved)
  /// The Euler-Maruyama method; its last step leaves noise in the sample.
  public static let euler = StochasticEquation(noise: .euler, step: .euler)

  var isValid: Bool { scale >= 0 && scale.isFinite && power.isFinite }

  /// The move from a sigma to a lower one.
  func move(from sigma: Double, to next: Double) -> Solver.Move {
    let replaced = min(scale * (sigma - next) * pow(sigma, power), sigma)
    let spread =
      switch noise {
      case .stable: sigma * sigma - (sigma - replaced) * (sigma - replaced)
      case .euler: 2 * sigma * replaced
      }
    switch step {
    case .curved:
      return .refreshing(
        from: sigma, to: next, kept: 1 - replaced / sigma, fresh: spread.squareRoot() / sigma)
    case .euler:
      return Solver.Move(
        sample: 1 - replaced, output: (next - sigma) - replaced * (1 - sigma),
        noise: spread.squareRoot())
    }
  }
}
