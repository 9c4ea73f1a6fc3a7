/// A network's layers by the names that files of changes give them.
///
/// Such files join names by dots or by underscores, of which the network's own names are full: so
/// a name is not taken apart, but looked up among the network's own, all written alike.
public struct LayerNames: Sendable {
  private let layers: [String: String]
  private let translate: @Sendable (String) -> LayerParts?

  /// Writes down the names of a network's layers.
  ///
  /// - Parameters:
  ///   - store: the network's weights.
  ///   - translate: what a name that is not found may be otherwise, as in another library's
  ///     naming, either side joined as it likes.
  public init(
    _ store: WeightStore, translate: @escaping @Sendable (String) -> String? = { _ in nil }
  ) {
    self.init(store) { translate($0).map { LayerParts($0) } }
  }

  /// Writes down the names of a network's layers, of which another naming may have several in one.
  ///
  /// - Parameters:
  ///   - store: the network's weights.
  ///   - parts: what a name that is not found may be otherwise.
  public init(_ store: WeightStore, parts: @escaping @Sendable (String) -> LayerParts?) {
    var layers: [String: String] = [:]
    var aliases: [String: String] = [:]
    for name in store.weights.keys.sorted() {
      guard let dot = name.lastIndex(of: ".") else { continue }
      let layer = String(name[..<dot])
      layers[Self.flattened(layer)] = layer
      // diffusers called attention's layers so in all networks, before 0.20.
      for (ending, alias) in Self.oldEndings where layer.hasSuffix(ending) {
        aliases[Self.flattened(String(layer.dropLast(ending.count)) + alias)] = layer
      }
    }
    self.layers = layers.merging(aliases) { own, _ in own }
    translate = parts
  }

  /// The network's own layers that a name stands for, or nothing where there are no such layers.
  func parts(_ name: String) -> LayerParts? {
    if let layer = layers[Self.flattened(name)] { return LayerParts(layer) }
    return translate(name)?.named { layers[Self.flattened($0)] }
  }

  private static let oldEndings = [
    (".to_out.0", ".to_out"), (".q_proj", ".to_q"), (".k_proj", ".to_k"), (".v_proj", ".to_v"),
    (".out_proj", ".to_out"),
  ]

  /// One spelling for all: underscores, and without what some versions of a library put first.
  private static func flattened(_ name: String) -> String {
    let flat = String(name.map { $0 == "." ? "_" : $0 })
    let prefix = "text_model_"
    return flat.hasPrefix(prefix) ? String(flat.dropFirst(prefix.count)) : flat
  }
}
