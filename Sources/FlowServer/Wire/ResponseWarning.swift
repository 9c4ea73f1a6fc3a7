internal import FlowCore
internal import FlowModels
internal import StreamFlow

/// A request's wish that was not fulfilled as requested, although the request succeeded.
///
/// Responses, streamed events, jobs and live streams contain warnings in an array named `warnings`,
/// which is omitted if there are none.
package struct ResponseWarning: Codable, Hashable, Sendable {
  /// A stable code for programs.
  package enum Code: String, Codable, CaseIterable, Sendable {
    /// A parameter has no effect.
    case parameterIgnored = "parameter_ignored"
    /// Another model than the requested one was used.
    case modelSubstituted = "model_substituted"
    /// Fewer partial images are sent than requested.
    case partialImagesReduced = "partial_images_reduced"
    /// The prompt contains a word that is read as another, since it looks like a typing error.
    case correctedWord = "corrected_word"
    /// The prompt contains a word that the model was not trained on.
    case unknownWord = "unknown_word"
    /// The prompt contains no subject that the model knows.
    case unknownSubject = "unknown_subject"
    /// The prompt contains more subjects than the model draws in one image.
    case severalSubjects = "several_subjects"
    /// The size is far from the size that the model was trained for.
    case unsuitableSize = "unsuitable_size"
    /// A tag in a prompt names a LoRA or hypernetwork that is not loaded.
    case promptTagIgnored = "prompt_tag_ignored"
  }

  /// The code for programs.
  let code: Code
  /// The message for people, with the values and a remedy.
  let message: String
  /// The affected parameter, if any.
  let parameter: String?

  init(_ code: Code, _ message: String, parameter: String? = nil) {
    self.code = code
    self.message = message
    self.parameter = parameter
  }
}

extension ImageOrder {
  /// All warnings of the order: those of its parameters, followed by those that depend on the
  /// model.
  ///
  /// - Parameters:
  ///   - name: the name of the model that is used.
  ///   - checkpoint: that model.
  /// - Returns: the warnings, without duplicates; nil if there are none, so that the field is
  ///   omitted.
  func allWarnings(model name: String, _ checkpoint: Checkpoint) -> [ResponseWarning]? {
    var found = warnings
    if let warning = ResponseWarning.substitution(of: model, by: name) { found.append(warning) }
    let blended = sampling.blend?.parts.map(\.prompt) ?? []
    let others = [sampling.negativePrompt, editing?.sourcePrompt].compactMap(\.self)
    var advice = checkpoint.advice(
      onPrompts: prompts + blended, besides: others, syntax: sampling.promptSyntax ?? .weighted)
    if let size { advice += checkpoint.advice(onWidth: size.width, height: size.height) }
    found += advice.map(ResponseWarning.init)
    for prompt in prompts {
      let request = sampling.request(prompt, of: checkpoint, spacing: nil)
      found += ResponseWarning.unusedTags(in: request, of: checkpoint)
    }
    var seen: Set<ResponseWarning> = []
    found = found.filter { seen.insert($0).inserted }
    return found.isEmpty ? nil : found
  }
}

extension ResponseWarning {
  /// The library's advice on a request.
  init(_ advice: RequestAdvice) {
    switch advice.code {
    case .correctedWord: self.init(.correctedWord, advice.message, parameter: "prompt")
    case .unknownWord: self.init(.unknownWord, advice.message, parameter: "prompt")
    case .unknownSubject: self.init(.unknownSubject, advice.message, parameter: "prompt")
    case .severalSubjects: self.init(.severalSubjects, advice.message, parameter: "prompt")
    case .unsuitableSize: self.init(.unsuitableSize, advice.message, parameter: "size")
    }
  }

  /// The warnings of prompt tags that cannot be applied, such as `<lora:name:1>`.
  static func unusedTags(
    in request: GenerationRequest, of checkpoint: Checkpoint
  ) -> [ResponseWarning] {
    checkpoint.unusedTags(in: request).map {
      ResponseWarning(.promptTagIgnored, $0.message, parameter: "prompt")
    }
  }

  /// The warning that another model than the requested one is used; nil if it is the requested one.
  static func substitution(of asked: String?, by name: String) -> ResponseWarning? {
    guard let asked, asked != name else { return nil }
    return ResponseWarning(
      .modelSubstituted, "'\(asked)' is not served here; '\(name)' was used", parameter: "model")
  }
}
