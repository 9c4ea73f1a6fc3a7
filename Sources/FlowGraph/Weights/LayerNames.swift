/// A network's layers, by their names in files of weight changes.
///
/// Such files join names with dots or underscores, and the network's own names contain underscores
/// too. Names are therefore not parsed but looked up among the network's own names, in one
/// normalized spelling.
public struct LayerNames: Sendable {
  private let layers: [String: String]
  private let translate: @Sendable (String) -> LayerParts?

  /// Indexes the names of a network's layers.
  ///
  /// - Parameters:
  ///   - store: the network's weights.
  ///   - translate: an alternative for a name that is not found, such as another library's name, in
  ///     any spelling.
  public init(
    _ store: WeightStore, translate: @escaping @Sendable (String) -> String? = { _ in nil }
  ) {
    self.init(store) { translate($0).map { LayerParts($0) } }
  }

  /// Indexes the names of a network's layers, several of which may be one layer in other naming
  /// schemes.
  ///
  /// - Parameters:
  ///   - store: the network's weights.
  ///   - parts: alternatives for a name that is not found.
  public init(_ store: WeightStore, parts: @escaping @Sendable (String) -> LayerParts?) {
    var layers: [String: String] = [:]
    var aliases: [String: String] = [:]
    for name in store.weights.keys.sorted() {
      guard let dot = name.lastIndex(of: ".") else { continue }
      let layer = String(name[..<dot])
      layers[Self.flattened(layer)] = layer
      // diffusers used these names for attention layers in all networks before 0.20.
      for (ending, alias) in Self.oldEndings where layer.hasSuffix(ending) {
        aliases[Self.flattened(String(layer.dropLast(ending.count)) + alias)] = layer
      }
    }
    self.layers = layers.merging(aliases) { own, _ in own }
    translate = parts
  }

  /// The network's layers for a name, or nil if there are none.
  func parts(_ name: String) -> LayerParts? {
    if let layer = layers[Self.flattened(name)] { return LayerParts(layer) }
    return translate(name)?.named { layers[Self.flattened($0)] }
  }

  private static let oldEndings = [
    (".to_out.0", ".to_out"), (".q_proj", ".to_q"), (".k_proj", ".to_k"), (".v_proj", ".to_v"),
    (".out_proj", ".to_out"),
  ]

  /// The normalized spelling: underscores, and without prefixes that some library versions add.
  private static func flattened(_ name: String) -> String {
    let flat = String(name.map { $0 == "." ? "_" : $0 })
    let prefix = "text_model_"
    return flat.hasPrefix(prefix) ? String(flat.dropFirst(prefix.count)) : flat
  }
}
