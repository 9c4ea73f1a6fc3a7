internal import FlowModels

/// Something worth knowing about a valid request before it runs.
public struct RequestAdvice: Hashable, Sendable, CustomStringConvertible {
  /// The kind of advice.
  public enum Code: String, CaseIterable, Sendable {
    /// The prompt has a word that is read as another, since it looks like a typing error.
    case correctedWord = "corrected_word"
    /// The prompt has a word that the model was not trained on.
    case unknownWord = "unknown_word"
    /// The prompt names no subject that the model can draw.
    case unknownSubject = "unknown_subject"
    /// The prompt names more subjects than the model draws in one image.
    case severalSubjects = "several_subjects"
    /// The size is far from the one that the model was trained for.
    case unsuitableSize = "unsuitable_size"
  }

  /// The kind of advice, to branch on.
  public let code: Code
  /// The advice in words.
  public let message: String

  /// The advice in words.
  public var description: String { message }
}
