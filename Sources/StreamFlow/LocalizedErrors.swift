public import FlowCore
public import FlowEngine
public import FlowGraph
internal import FlowModels
public import FlowText
public import Foundation

// Here, as the targets of some of these errors do without Foundation.

extension PlanError: LocalizedError {
  /// The failure in words.
  public var errorDescription: String? { message }
}

extension GraphError: LocalizedError {
  /// The failure in words.
  public var errorDescription: String? { message }
}

extension TextError: LocalizedError {
  /// The failure in words.
  public var errorDescription: String? { message }
}

extension DecodedText.Problem: LocalizedError {
  /// The failure in words.
  public var errorDescription: String? { message }
}

extension EngineError: LocalizedError {
  /// The failure in words.
  public var errorDescription: String? { message }
}
