internal import FlowCore
public import FlowModels

extension Generator {
  /// The evaluations of the network that have finished so far, of retired images and of those in
  /// flight; one image contributes ``evaluationCount(of:)`` by its end.
  public var finishedEvaluationCount: Int {
    measured.evaluationCount + batch.inFlight.reduce(0) { $0 + $1.stage }
  }

  /// The number of times that one image of a request passes through the network: its steps, for
  /// solvers of one evaluation per step.
  ///
  /// - Throws: `requestInvalid` for a number of steps or a combination that has no plan.
  public nonisolated func evaluationCount(
    of request: GenerationRequest
  ) throws(ModelError) -> Int {
    try checkpoint.plan(for: request, width: width, height: height).rows.count
  }
}
