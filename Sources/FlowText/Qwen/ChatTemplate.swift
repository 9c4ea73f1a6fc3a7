/// The text around a prompt that a language model reads as a user message.
///
/// A chat template is a program; for a single user message it yields a constant prefix and suffix.
package struct ChatTemplate: Equatable, Sendable {
  /// The text before the prompt.
  package let prefix: String
  /// The text after the prompt, up to the start of an answer.
  package let suffix: String

  /// Qwen3's template (`add_generation_prompt`, `enable_thinking` on), with which Z-Image was
  /// trained.
  package static let qwen3 = ChatTemplate(
    prefix: "<|im_start|>user\n", suffix: "<|im_end|>\n<|im_start|>assistant\n")

  /// Qwen3's template with empty thoughts (`enable_thinking` off), with which FLUX.2 was trained.
  package static let qwen3WithoutThinking = ChatTemplate(
    prefix: qwen3.prefix, suffix: qwen3.suffix + "<think>\n\n</think>\n\n")

  /// The template of diffusers' pipelines of DreamLite.
  package static let dreamLite = ChatTemplate(
    prefix: "<|im_start|>system\nDescribe the image by detailing the color, shape, size, texture, "
      + "quantity, text, spatial relationships of the objects and background:<|im_end|>\n"
      + qwen3.prefix, suffix: qwen3.suffix)
}
