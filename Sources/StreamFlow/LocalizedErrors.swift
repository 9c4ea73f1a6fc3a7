public import FlowCore
public import FlowEngine
public import FlowGraph
internal import FlowModels
public import FlowText
public import Foundation

// Conformances are here because the targets of some of these errors do not import Foundation.

extension PlanError: LocalizedError {
  /// The message.
  public var errorDescription: String? { message }
}

extension GraphError: LocalizedError {
  /// The message.
  public var errorDescription: String? { message }
}

extension TextError: LocalizedError {
  /// The message.
  public var errorDescription: String? { message }
}

extension DecodedText.Problem: LocalizedError {
  /// The message.
  public var errorDescription: String? { message }
}

extension EngineError: LocalizedError {
  /// The message.
  public var errorDescription: String? { message }
}
