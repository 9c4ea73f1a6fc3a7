/// A family's way through time: it compiles a number of steps into a plan.
public protocol Schedule: Sendable {
  /// Compiles the plan of so many steps.
  ///
  /// - Throws: `PlanError` where the schedule has no such plan.
  func plan(stepCount: Int, solver: Solver) throws(PlanError) -> StepPlan
}

/// Why a plan cannot be made.
public struct PlanError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The kind of failure.
  public enum Code: Sendable { case stepCountInvalid, solverUnsupported, timesInvalid }

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

func checkStepCount(
  _ count: Int, of schedule: String, atLeast least: Int = 1, atMost most: Int = maximumStepCount
) throws(PlanError) {
  guard least <= count, count <= most else {
    throw PlanError(
      code: .stepCountInvalid,
      message: "\(schedule) takes \(least) to \(most) steps, got \(count)")
  }
}
