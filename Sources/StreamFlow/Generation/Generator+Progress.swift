internal import FlowCore
public import FlowModels

extension Generator {
  /// The number of finished network evaluations, of retired images and of those in flight; each
  /// image contributes ``evaluationCount(of:)`` by its end.
  public var finishedEvaluationCount: Int {
    measured.evaluationCount + batch.inFlight.reduce(0) { $0 + $1.stage }
  }

  /// The number of network evaluations of one image of a request: its number of steps, for solvers
  /// with one evaluation per step.
  ///
  /// - Throws: `requestInvalid` for a number of steps or a combination that has no plan.
  public nonisolated func evaluationCount(
    of request: GenerationRequest
  ) throws(ModelError) -> Int {
    try checkpoint.plan(for: request, width: width, height: height).rows.count
  }
}
