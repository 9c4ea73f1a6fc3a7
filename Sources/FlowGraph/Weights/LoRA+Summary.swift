internal import FlowCore

extension LoRA {
  /// The kinds of its changes as text: `LoRA`, `LoHa and full difference`, `LoRA (DoRA)`.
  public var kindWords: String {
    Kind.allCases.compactMap { kind in
      let ofKind = modules.filter { $0.kind == kind }
      guard !ofKind.isEmpty else { return nil }
      return kind.rawValue + (ofKind.contains(where: \.hasMagnitude) ? " (DoRA)" : "")
    }
    .joined(separator: " and ")
  }

  /// The distinct ranks of its changes, in ascending order.
  public var ranks: [Int] { Set(modules.compactMap(\.rank)).sorted() }

  /// The number of changed layers of each network, named by diffusers' folders.
  public var moduleCounts: [(network: String, count: Int)] {
    let counts = Dictionary(grouping: modules) { module in
      switch module.component {
      case .network: "network"
      case .textEncoder(0): "text_encoder"
      case .textEncoder(let index): "text_encoder_\(index + 1)"
      case .unnamed: "unspecified"
      }
    }
    return counts.sorted { $0.key < $1.key }.map { ($0.key, $0.value.count) }
  }

  /// The width of the text states that its attention reads, which indicates the model family.
  public var textWidth: Int? {
    modules.lazy.filter { $0.component != .textEncoder(0) }
      .first { $0.layer.hasSuffix("attn2_to_k") || $0.layer.hasSuffix("attn2.to_k") }?
      .inputWidth
  }

  /// A summary in one line.
  public var summary: String {
    let ranks = ranks.map { "\($0)" }.joined(separator: ", ")
    let counts = moduleCounts.map { "\($0.count) in \($0.network)" }.joined(separator: ", ")
    return kindWords + (ranks.isEmpty ? "" : " of rank \(ranks)") + ", layers: \(counts)"
  }
}
