internal import FlowModels

/// The progress of a quantization.
public struct QuantizationProgress: Sendable, Equatable {
  /// A short description of the current step.
  public let step: String
  /// The finished share of all operations, from 0 to 1; compilations are estimated.
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

  /// The estimated number of operations that take as long as compiling one weight into an engine: a
  /// network of 860 million weights compiles in the time of two evaluations at 512x512 pixels.
  static let operationsPerCompiledWeight = 2300

  /// - Parameters:
  ///   - operationCount: the floating-point operations of everything, compilations included.
  ///   - report: called whenever the step or the fraction changes.
  init(operationCount: Int, report: @escaping (QuantizationProgress) -> Void) {
    total = Double(max(operationCount, 1))
    self.report = report
  }

  /// Starts a step.
  func begin(_ step: String) throws {
    self.step = step
    try advance(by: 0)
  }

  /// Counts finished operations.
  ///
  /// - Throws: `CancellationError` if the task is cancelled; measurements are saved.
  func advance(by operationCount: Int) throws {
    skip(operationCount)
    report(QuantizationProgress(step: step, fraction: done / total))
    guard Task.isCancelled else { return }
    try save()
    throw CancellationError()
  }

  /// Ends a part at its planned share: there may have been fewer probes.
  func end(at operationCount: Double) throws {
    try advance(by: max(Int(operationCount - done), 0))
  }

  /// Counts operations that an earlier run has done.
  func skip(_ operationCount: Int) { done = min(done + Double(operationCount), total) }
}
