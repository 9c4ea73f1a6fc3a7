internal import FlowModels
internal import FlowText
internal import Foundation
internal import StreamFlow

/// Warnings about prompts that are not used as written.
enum PromptWarnings {
  /// Warns of tags that a prompt cannot load, such as `<lora:watercolor:0.8>`, once each.
  static func warnOfUnusedTags(in requests: [GenerationRequest], of checkpoint: Checkpoint) {
    var seen: Set<Checkpoint.UnusedTag> = []
    for unused in requests.flatMap(checkpoint.unusedTags(in:)) where seen.insert(unused).inserted {
      let remedy =
        unused.tag.kind == .hypernet
        ? "" : "; load it with --lora FILE:\(unused.tag.weight)"
      Terminal.warning(unused.message + remedy)
    }
  }
}
