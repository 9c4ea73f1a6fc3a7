internal import FlowCore
package import FlowGraph

/// An IP-Adapter: the network attends to a reference image in addition to the text (Ye et al.,
/// 2023, arXiv:2308.06721).
///
/// In each cross-attention, `attention(q, K, V) + scale * attention(q, K', V')` replaces
/// `attention(q, K, V)`, where the keys K' and values V' come from the image's tokens.
package struct IPAdapter: Sendable {
  /// The prefix of the names of its inputs.
  package let name: String
  /// Whether each row has a mask of the area where the image acts, the input `<name>.mask`.
  package let isMasked: Bool
  let projection: ImageProjection
  let weights: WeightStore
  let encoder: CLIPVision
  let network: UNetConfiguration
  /// The side in pixels of a latent pixel of the model's autoencoder.
  let factor: Int

  /// Opens a file in the original names, with its image encoder.
  ///
  /// - Parameters:
  ///   - path: the file.
  ///   - name: the prefix of the names of its inputs, such as `adapter0`.
  ///   - family: the model's family, whose network it must fit.
  ///   - encoder: the folder of the image encoder; nil for `image_encoder` beside the file.
  ///   - isMasked: whether each row has a mask.
  ///   - factor: how many pixels of a side the model's autoencoder makes one latent pixel of.
  ///   - variant: the middle of the encoder's file name, such as `fp16`.
  ///   - compression: how engines hold the matrices of the encoder and the adapter, which run once for
  ///     an image; nil for floats.
  /// - Throws: a `ModelError` for what is not supported or does not fit the model, a `GraphError` for
  ///   weights that are missing or unknown.
  package static func open(
    path: String, name: String, for family: any ModelFamily, encoder: String? = nil,
    isMasked: Bool = false, factor: Int = 8, variant: String? = nil,
    compression: WeightCompression? = nil
  ) throws -> IPAdapter {
    guard let family = family as? StableDiffusion else {
      throw ModelError(
        code: .unsupported,
        message: "'\(path)': IP-Adapters are supported for Stable Diffusion 1, 2 and XL, not for "
          + "this model")
    }
    return try open(
      path: path, name: name, fitting: family.unet, encoder: encoder, isMasked: isMasked,
      factor: factor, variant: variant, compression: compression)
  }

  static func open(
    path: String, name: String, fitting network: UNetConfiguration, encoder: String? = nil,
    isMasked: Bool = false, factor: Int = 8, variant: String? = nil,
    compression: WeightCompression? = nil
  ) throws -> IPAdapter {
    let file = try IPAdapterFile(path: path, fitting: network)
    let encoder = try file.encoder(folder: encoder, variant: variant)
    func prepared(_ store: WeightStore) -> WeightStore {
      compression.map { store.compressed(to: $0) } ?? store
    }
    return IPAdapter(
      name: name, isMasked: isMasked, projection: file.projection, weights: prepared(file.weights),
      encoder: CLIPVision(
        configuration: encoder.configuration, weights: prepared(encoder.weights)),
      network: network, factor: factor)
  }

  /// The tokens of an image.
  var tokenCount: Int { projection.tokenCount ?? encoder.configuration.tokenCount }

  /// The layers of the keys and values of each attention, in the order of the table.
  private var layers: [(keys: WeightScope, values: WeightScope)] {
    network.crossAttentions.indices.map { index in
      let layer = weights.root[IPAdapterFile.scope(of: index)]
      return (layer["to_k_ip"], layer["to_v_ip"])
    }
  }

  private var tableInput: PortName { PortName("\(name).table") }

  /// The keys and values of all attentions for a normalized image: a table as ``LayerTable`` reads
  /// it.
  func table(of image: Value) throws(GraphError) -> Value {
    try table(
      ofEncoded: projection.readsEmbedding
        ? encoder.embedding(image) : encoder.penultimate(image))
  }

  /// The keys and values of all attentions for the encoder's output.
  func table(ofEncoded encoded: Value) throws(GraphError) -> Value {
    let tokens = try projection.tokens(of: encoded, weights.root["image_proj"])
    try tokens.expect([1, tokenCount, projection.width], of: "the IP-Adapter's projection")
    return try LayerTable.input(tokens).table(of: layers.flatMap { [$0.keys, $0.values] })
  }

  /// Adds `table`, `[rows, tokens, width]`, `scales`, `[rows, attentions]`, and if it is masked
  /// `mask`, `[rows, latent pixels of all levels with cross-attentions]`.
  package func attach(to hooks: inout NetworkHooks) throws(GraphError) {
    let (graph, rows) = (hooks.graph, hooks.rows)
    let places = try LayerTable.places(of: layers.flatMap { [$0.keys, $0.values] })
    let table = LayerTable.computed(
      graph.input(tableInput, shape: [rows, tokenCount, LayerTable.width(of: places)]),
      places: places)
    let attentions = network.crossAttentions
    let scales = try hooks.scales(of: self, rank: 3)
    let masks = try isMasked ? self.masks(hooks) : [:]
    for (index, (attention, layer)) in zip(attentions, layers).enumerated() {
      var factor = scales[index]
      if let mask = masks[attention.level] { factor = try factor * mask }
      hooks.attach(at: .crossAttention(attention.name)) { (value, query) throws(GraphError) in
        guard let query else { preconditionFailure("\(attention.name) brings no query") }
        let image = try query.attention(
          key: table.part(of: layer.keys), value: table.part(of: layer.values),
          heads: attention.headCount)
        return try value + image * factor
      }
    }
  }
}
