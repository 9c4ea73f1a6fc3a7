internal import FlowModels
internal import StreamFlow

/// Advice in the command's reports.
struct AdviceReport: Encodable {
  let code: String
  let message: String

  init(_ advice: RequestAdvice) {
    code = advice.code.rawValue
    message = advice.message
  }
}

extension GenerationRun {
  /// The advice on a run, before anything is computed.
  var advice: [RequestAdvice] {
    let checkpoint = generator.checkpoint
    let blended = work.sample.blend?.parts.map(\.prompt) ?? []
    let others =
      [work.sample.negativePrompt] + (work.sample.editing.map { [$0.sourcePrompt] } ?? [])
    return checkpoint.advice(
      onPrompts: work.prompts + blended, besides: others, syntax: work.sample.promptSyntax)
      + checkpoint.advice(onWidth: generator.width, height: generator.height)
  }
}

extension LiveStream {
  /// The advice on the current settings.
  var advice: [RequestAdvice] {
    let size = imageSize
    return checkpoint.advice(on: settings.request, width: size.width, height: size.height)
  }
}

extension Terminal {
  /// Prints advice on standard error, with the command's own remedy.
  static func warn(_ advice: [RequestAdvice], of checkpoint: Checkpoint) {
    for item in advice {
      if item.code == .correctedWord {
        note("note: \(item.message)")
      } else {
        warning(item.message)
      }
    }
    let codes = Set(advice.map(\.code))
    guard codes.contains(.unknownWord) || codes.contains(.unknownSubject) else { return }
    let model = checkpoint.name == "starter" ? "starter" : "'\(checkpoint.folder)'"
    note("list what it knows with: streamflow inspect \(model) --prompts")
  }
}
