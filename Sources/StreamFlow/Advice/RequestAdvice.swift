internal import FlowModels

/// Why a request that is valid is likely to disappoint.
public struct RequestAdvice: Hashable, Sendable, CustomStringConvertible {
  /// The kind of advice.
  public enum Code: String, CaseIterable, Sendable {
    /// The prompt has a word that the model was not trained on.
    case unknownWord = "unknown_word"
    /// The prompt names nothing that the model draws.
    case unknownSubject = "unknown_subject"
    /// The prompt names several things, and the model draws one.
    case severalSubjects = "several_subjects"
    /// The size is far from the one that the model was trained for.
    case unsuitableSize = "unsuitable_size"
  }

  /// The kind of advice, to decide what to do about it.
  public let code: Code
  /// The advice in words.
  public let message: String

  /// The advice in words.
  public var description: String { message }
}
