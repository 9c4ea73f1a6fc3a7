/// A family's sampling schedule: it compiles a number of steps into a plan.
public protocol Schedule: Sendable {
  /// Compiles the plan of so many steps.
  ///
  /// - Parameters:
  ///   - stepCount: the steps that are taken, however late the plan begins.
  ///   - solver: how the velocity is followed.
  ///   - strength: how much of an image is made anew, above 0 and at most 1: the part of the way
  ///     that is gone, from the image with noise mixed in. 1 is the whole way from noise.
  /// - Throws: `PlanError` where the schedule has no such plan.
  func plan(stepCount: Int, solver: Solver, strength: Double) throws(PlanError) -> StepPlan
}

extension Schedule {
  /// Compiles the plan of so many steps over the whole way.
  public func plan(stepCount: Int, solver: Solver) throws(PlanError) -> StepPlan {
    try plan(stepCount: stepCount, solver: solver, strength: 1)
  }
}

/// Why a plan cannot be made.
public struct PlanError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The kind of failure.
  public enum Code: Sendable, CaseIterable {
    case stepCountInvalid, strengthInvalid, solverUnsupported, timesInvalid
  }

  /// The kind of failure, to decide what to do about it.
  public let code: Code
  /// The failure in words, with the values that clashed and how to mend it.
  public let message: String

  /// The failure in words.
  public var description: String { message }

  static func solver(_ solver: Solver, of schedule: String) -> PlanError {
    PlanError(
      code: .solverUnsupported,
      message: "\(schedule) steps with euler only, got \(solver.rawValue)")
  }
}

/// The most steps a plan may have: the length of the training schedules.
let maximumStepCount = 1000

func checkStrength(_ strength: Double) throws(PlanError) {
  guard strength > 0, strength <= 1 else {
    throw PlanError(
      code: .strengthInvalid,
      message: "strength is above 0 (the image as it is) and at most 1 (all anew), got "
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
