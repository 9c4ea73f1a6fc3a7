internal import FlowCore
internal import FlowModels
internal import StreamFlow

/// Something that a request asked for and that was not done as asked, although the request succeeded.
///
/// Answers, streamed events, jobs and live streams carry warnings in an array named `warnings`, which
/// is absent where there are none.
struct ResponseWarning: Codable, Hashable, Sendable {
  /// A stable word for programs.
  enum Code: String, Codable, CaseIterable, Sendable {
    /// A parameter was read and has no effect.
    case parameterIgnored = "parameter_ignored"
    /// Another model than the one named made the images.
    case modelSubstituted = "model_substituted"
    /// Fewer partial images are sent than were asked for.
    case partialImagesReduced = "partial_images_reduced"
    /// The prompt has a word that the model was not trained on.
    case unknownWord = "unknown_word"
    /// The prompt names nothing that the model draws.
    case unknownSubject = "unknown_subject"
    /// The prompt names several things, and the model draws one.
    case severalSubjects = "several_subjects"
    /// The size is far from the one that the model was trained for.
    case unsuitableSize = "unsuitable_size"
    /// A tag in a prompt names a LoRA or hypernetwork that is not loaded.
    case promptTagIgnored = "prompt_tag_ignored"
  }

  /// The word for programs.
  let code: Code
  /// The sentence for people, with the values and the remedy.
  let message: String
  /// The parameter concerned, if it was one.
  let parameter: String?

  init(_ code: Code, _ message: String, parameter: String? = nil) {
    self.code = code
    self.message = message
    self.parameter = parameter
  }
}

extension ImageOrder {
  /// All warnings of the order: those of its parameters, then those that depend on the model.
  ///
  /// - Parameters:
  ///   - name: the name of the model that makes the images.
  ///   - checkpoint: that model.
  /// - Returns: the warnings, without duplicates; nil where there are none, so that the field is
  ///   absent.
  func allWarnings(model name: String, _ checkpoint: Checkpoint) -> [ResponseWarning]? {
    var found = warnings
    if let warning = ResponseWarning.substitution(of: model, by: name) { found.append(warning) }
    let blended = sampling.blend?.parts.map(\.prompt) ?? []
    var advice = checkpoint.advice(onPrompts: prompts + blended)
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
    case .unknownWord: self.init(.unknownWord, advice.message, parameter: "prompt")
    case .unknownSubject: self.init(.unknownSubject, advice.message, parameter: "prompt")
    case .severalSubjects: self.init(.severalSubjects, advice.message, parameter: "prompt")
    case .unsuitableSize: self.init(.unsuitableSize, advice.message, parameter: "size")
    }
  }

  /// The warnings of tags in a request's prompts that a prompt cannot load, such as `<lora:name:1>`.
  static func unusedTags(
    in request: GenerationRequest, of checkpoint: Checkpoint
  ) -> [ResponseWarning] {
    checkpoint.unusedTags(in: request).map {
      ResponseWarning(.promptTagIgnored, $0.message, parameter: "prompt")
    }
  }

  /// The warning that another model than the one named is used; nil where it is the one named.
  static func substitution(of asked: String?, by name: String) -> ResponseWarning? {
    guard let asked, asked != name else { return nil }
    return ResponseWarning(
      .modelSubstituted, "'\(asked)' is not served here; '\(name)' was used", parameter: "model")
  }
}
