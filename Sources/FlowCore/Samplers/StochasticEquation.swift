#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

/// The stochastic differential equation that has a flow's marginal distributions, and its step.
///
/// `rectified_flow/samplers/sde_sampler.py` of lqiang67/rectified-flow: before the sample follows
/// the velocity, `w = min(scale * h * sigma^power, sigma)` of the expected noise is taken away
/// and fresh noise added, h being the length of the step in sigma.
public struct StochasticEquation: Hashable, Sendable {
  /// How much fresh noise is added.
  public enum Noise: String, Sendable, CaseIterable {
    /// As much as keeps the spread: `sqrt(sigma^2 - (sigma - w)^2)`.
    case stable
    /// What the Euler-Maruyama method adds: `sqrt(2 * sigma * w)`, the same for small steps.
    case euler
  }

  /// How the sample follows the velocity.
  public enum Step: String, Sendable, CaseIterable {
    /// From the expected data and the noise that was refreshed, mixed anew at the next sigma: the
    /// step down to data takes the fresh noise away again.
    case curved
    /// Along the velocity as it was before the noise was refreshed: the step down to data leaves
    /// the fresh noise in the sample.
    case euler
  }

  /// How much fresh noise is added.
  public var noise: Noise
  /// How the sample follows the velocity.
  public var step: Step
  /// The factor of the noise that is replaced, 0 or more; 0 is Euler's step.
  public var scale = 1.0
  /// The power of sigma in the noise that is replaced.
  public var power = 1.0

  /// Creates an equation's step.
  public init(noise: Noise, step: Step) {
    self.noise = noise
    self.step = step
  }

  /// The repository's own choice: stable noise, a curved step.
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
