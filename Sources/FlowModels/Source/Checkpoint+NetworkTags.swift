internal import FlowCore
internal import FlowGraph
public import FlowText
internal import Foundation

extension Checkpoint {
  /// A prompt tag that has no effect.
  public struct UnusedTag: Hashable, Sendable {
    /// The tag.
    public let tag: NetworkTag
    /// The weight of a loaded LoRA with that name, if it differs from the tag's.
    public let loadedWeight: Float?

    /// The message, without a final period.
    public var message: String {
      let kind = tag.kind == .hypernet ? "hypernetwork" : "LoRA"
      let state =
        tag.kind == .hypernet
        ? "hypernetworks are not supported"
        : loadedWeight.map { "'\(tag.name)' is loaded with weight \(number($0))" }
          ?? "'\(tag.name)' is not loaded"
      return "the prompt requests the \(kind) '\(tag.name)' with weight \(number(tag.weight)) "
        + "(\(tag.text)), which a prompt cannot load; \(state), and the tag was removed from the "
        + "prompt"
    }

    private func number(_ value: Float) -> String {
      value == value.rounded() && value.magnitude < 1e6 ? "\(Int(value))" : "\(value)"
    }
  }

  /// The tags of a prompt, such as `<lora:watercolor:0.8>`, that request unloaded networks; each
  /// once.
  ///
  /// Tags of LoRAs that are loaded with the same weight are omitted. In plain syntax a tag is text.
  public func unusedTags(in prompt: String, syntax: PromptSyntax = .weighted) -> [UnusedTag] {
    guard syntax == .weighted, prompt.contains("<") else { return [] }
    var seen: Set<UnusedTag> = []
    return WeightedPrompt(parsing: prompt).networkTags.compactMap { tag in
      var loaded: Float?
      if tag.kind != .hypernet {
        let scales = additions.filter { $0.kind == .lora && $0.isNamed(tag.name) }.map(\.scale)
        if scales.contains(tag.weight) { return nil }
        loaded = scales.first
      }
      let unused = UnusedTag(tag: tag, loadedWeight: loaded)
      return seen.insert(unused).inserted ? unused : nil
    }
  }
}

extension AppliedWeights {
  /// Whether a file has the name in a tag: its own without the extension, or its folder's if only
  /// that distinguishes it.
  fileprivate func isNamed(_ name: String) -> Bool {
    let place = URL(filePath: path).standardizedFileURL
    let folder = isNamedByFolder ? place.deletingLastPathComponent().lastPathComponent : nil
    return [place.deletingPathExtension().lastPathComponent, place.lastPathComponent, folder]
      .contains { $0?.lowercased() == name.lowercased() }
  }
}
