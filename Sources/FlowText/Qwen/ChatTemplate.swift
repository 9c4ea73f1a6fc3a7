/// What stands around a prompt that a language model reads as a user's message.
///
/// A chat template is a program; for one message of a user it gives a constant before the prompt and
/// one after it.
package struct ChatTemplate: Equatable, Sendable {
  /// What stands before the prompt.
  package let prefix: String
  /// What stands after it, up to where an answer would begin.
  package let suffix: String

  /// Qwen3's (`add_generation_prompt`, `enable_thinking` on), as Z-Image was trained with it.
  package static let qwen3 = ChatTemplate(
    prefix: "<|im_start|>user\n", suffix: "<|im_end|>\n<|im_start|>assistant\n")

  /// Qwen3's with empty thoughts (`enable_thinking` off), as FLUX.2 was trained with it.
  package static let qwen3WithoutThinking = ChatTemplate(
    prefix: qwen3.prefix, suffix: qwen3.suffix + "<think>\n\n</think>\n\n")
}
