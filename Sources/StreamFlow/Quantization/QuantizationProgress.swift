internal import FlowModels

/// How far a quantization is.
public struct QuantizationProgress: Sendable, Equatable {
  /// What is being done, in a few words.
  public let step: String
  /// The share of all operations that is done, from 0 to 1; compilations are estimated.
  public let fraction: Double
}

/// Counts the work of a quantization, and stops it between two runs when its task is cancelled.
final class QuantizationWork {
  private let report: (QuantizationProgress) -> Void
  private let total: Double
  private(set) var done = 0.0
  private var step = ""
  /// Saves what would be lost; called before a cancelled quantization ends.
  var save: () throws -> Void = {}

  /// The operations that take as long as compiling a weight into an engine, about: a network of
  /// 860 million weights compiles in the time of two evaluations at 512x512 pixels.
  static let operationsPerCompiledWeight = 2300

  /// - Parameters:
  ///   - operationCount: the floating-point operations of everything, compilations included.
  ///   - report: called whenever the step or the fraction changes.
  init(operationCount: Int, report: @escaping (QuantizationProgress) -> Void) {
    total = Double(max(operationCount, 1))
    self.report = report
  }

  /// Begins a step.
  func begin(_ step: String) throws {
    self.step = step
    try advance(by: 0)
  }

  /// Counts operations that are done.
  ///
  /// - Throws: `CancellationError` where the task is cancelled; what was measured is saved.
  func advance(by operationCount: Int) throws {
    skip(operationCount)
    report(QuantizationProgress(step: step, fraction: done / total))
    guard Task.isCancelled else { return }
    try save()
    throw CancellationError()
  }

  /// Ends a part at the share that it was planned to end at: fewer probes may have been there.
  func end(at operationCount: Double) throws {
    try advance(by: max(Int(operationCount - done), 0))
  }

  /// Counts operations that an earlier run has done.
  func skip(_ operationCount: Int) { done = min(done + Double(operationCount), total) }
}
