/// A tag of AUTOMATIC1111's web UI that requests an extra network, such as `<lora:watercolor:0.8>`.
///
/// Text encoders never read such a tag; it is removed from a weighted prompt.
public struct NetworkTag: Hashable, Sendable {
  /// The kind of extra network.
  public enum Kind: String, CaseIterable, Sendable {
    /// A LoRA.
    case lora
    /// A LyCORIS, which the web UI loads like a LoRA.
    case lyco
    /// A hypernetwork.
    case hypernet
  }

  /// The kind of extra network.
  public let kind: Kind
  /// The name of its file, without the extension.
  public let name: String
  /// The weight for the denoising network; 1 if the tag has none.
  public let weight: Float
  /// The tag as it was written.
  public let text: String

  /// Parses a tag without its angle brackets; nil if it is not one.
  ///
  /// After the name come the weights of the text encoder and of the network, by position or by name
  /// (`te=0.5`, `unet=0.8`); a single weight applies to both.
  init?(content: String) {
    let parts = content.split(separator: ":", omittingEmptySubsequences: false)
      .map { Self.trimmed($0) }
    guard parts.count > 1, let kind = Kind(rawValue: parts[0].lowercased()), !parts[1].isEmpty
    else { return nil }
    var placed: [Float] = []
    var named: [String: Float] = [:]
    for part in parts.dropFirst(2) {
      let halves = part.split(separator: "=", maxSplits: 1)
      if halves.count == 2 {
        named[Self.trimmed(halves[0]).lowercased()] = Float(Self.trimmed(halves[1]))
      } else if let weight = Float(part), weight.isFinite {
        placed.append(weight)
      }
    }
    self.kind = kind
    name = parts[1]
    weight =
      named["unet"] ?? (placed.count > 1 ? placed[1] : nil) ?? placed.first ?? named["te"] ?? 1
    text = "<\(content)>"
  }

  private static func trimmed(_ text: Substring) -> String {
    let isSpace: (Character) -> Bool = \.isWhitespace
    return String(text.drop(while: isSpace).reversed().drop(while: isSpace).reversed())
  }
}
