/// A model family's sampling schedule: it compiles a number of steps into a plan.
public protocol Schedule: Sendable {
  /// Compiles a plan.
  ///
  /// - Parameters:
  ///   - stepCount: the number of steps, for any strength.
  ///   - solver: the solver.
  ///   - strength: denoising strength, above 0 and at most 1: the part of the noise range that is
  ///     sampled, starting from the image with noise mixed in. 1 starts from pure noise.
  /// - Throws: `PlanError` if the schedule has no such plan.
  func plan(stepCount: Int, solver: Solver, strength: Double) throws(PlanError) -> StepPlan
}

extension Schedule {
  /// Compiles a plan that starts from pure noise.
  public func plan(stepCount: Int, solver: Solver) throws(PlanError) -> StepPlan {
    try plan(stepCount: stepCount, solver: solver, strength: 1)
  }
}

/// The reason why a plan cannot be made.
public struct PlanError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The kind of failure.
  public enum Code: Sendable, CaseIterable {
    case stepCountInvalid, strengthInvalid, solverUnsupported, timesInvalid
  }

  /// The kind of failure, to branch on.
  public let code: Code
  /// A message with the values that clash and the remedy.
  public let message: String

  /// The message.
  public var description: String { message }

  static func solver(_ solver: Solver, of schedule: String) -> PlanError {
    PlanError(
      code: .solverUnsupported,
      message: "\(schedule) steps with euler only, got \(solver.rawValue)")
  }
}

/// The maximum number of steps of a plan: the length of the training schedules.
let maximumStepCount = 1000

func checkStrength(_ strength: Double) throws(PlanError) {
  guard strength > 0, strength <= 1 else {
    throw PlanError(
      code: .strengthInvalid,
      message: "strength is above 0 (keeps the input) and at most 1 (ignores it), got "
        + "\(strength)")
  }
}

func checkStepCount(
  _ count: Int, of schedule: String, atLeast least: Int = 1, atMost most: Int = maximumStepCount
) throws(PlanError) {
  guard least <= count, count <= most else {
    throw PlanError(
      code: .stepCountInvalid,
      message: "\(schedule) takes \(least) to \(most) steps, got \(count)")
  }
}
