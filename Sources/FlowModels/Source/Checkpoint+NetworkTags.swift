internal import FlowCore
internal import FlowGraph
public import FlowText
internal import Foundation

extension Checkpoint {
  /// A tag in a prompt that has no effect.
  public struct UnusedTag: Hashable, Sendable {
    /// The tag.
    public let tag: NetworkTag
    /// The weight of a LoRA of that name that is loaded with another weight.
    public let loadedWeight: Float?

    /// What happened, in a sentence without its end.
    public var message: String {
      let kind = tag.kind == .hypernet ? "hypernetwork" : "LoRA"
      let state =
        tag.kind == .hypernet
        ? "hypernetworks are not supported"
        : loadedWeight.map { "'\(tag.name)' is loaded with weight \(number($0))" }
          ?? "'\(tag.name)' is not loaded"
      return "the prompt asks for the \(kind) '\(tag.name)' with weight \(number(tag.weight)) "
        + "(\(tag.text)), which a prompt cannot load; \(state), and the tag was removed from the prompt"
    }

    private func number(_ value: Float) -> String {
      value == value.rounded() && value.magnitude < 1e6 ? "\(Int(value))" : "\(value)"
    }
  }

  /// The tags of a prompt, such as `<lora:watercolor:0.8>`, that ask for what is not loaded; each
  /// once.
  ///
  /// A tag that names a LoRA that is loaded with the same weight is not among them. In plain syntax
  /// a tag is text.
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
  /// Whether a file is of a name that a tag says: its own without the extension, or its folder's
  /// where that alone tells it from others.
  fileprivate func isNamed(_ name: String) -> Bool {
    let place = URL(filePath: path).standardizedFileURL
    let folder = isNamedByFolder ? place.deletingLastPathComponent().lastPathComponent : nil
    return [place.deletingPathExtension().lastPathComponent, place.lastPathComponent, folder]
      .contains { $0?.lowercased() == name.lowercased() }
  }
}
