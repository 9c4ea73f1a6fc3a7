internal import FlowCore
internal import FlowGraph

/// The validated `text_encoder/config.json` of a `CLIPTextModel`.
public struct CLIPTextConfiguration: Equatable, Sendable {
  /// The width of a hidden state.
  public let width: Int
  /// The trained sequence length, including start and end tokens.
  public let tokenCount: Int
  /// The width of the projected pooled state of a `CLIPTextModelWithProjection`.
  public let projectionWidth: Int?
  let layerCount: Int
  let headCount: Int
  let activation: CLIPActivation
  let epsilon: Float

  /// - Parameters:
  ///   - file: the configuration.
  ///   - weights: the weights, which show whether there is a projection.
  init(_ file: ConfigurationFile, weights: WeightStore) throws(ModelError) {
    projectionWidth = weights.weights[Self.projection]?.shape.dimensions.first
    width = try file.integer("hidden_size", default: 512, in: 1...65536)
    tokenCount = try file.integer("max_position_embeddings", default: 77, in: 2...65536)
    layerCount = try file.integer("num_hidden_layers", default: 12, in: 1...256)
    headCount = try file.integer("num_attention_heads", default: 8, in: 1...4096)
    epsilon = Float(try file.number("layer_norm_eps", default: 1e-5))
    activation = try file.choice("hidden_act", default: .quickGELU)
  }
}

extension CLIPTextConfiguration {
  /// The projection weight of a `CLIPTextModelWithProjection`.
  static let projection = "text_projection.weight"
}

/// The text encoder of CLIP: `CLIPTextModel` and `CLIPTextModelWithProjection` (Radford et al.,
/// 2021, arXiv:2103.00020).
struct CLIPText {
  let configuration: CLIPTextConfiguration
  let weights: WeightScope

  /// The hidden state that a model was trained to read.
  enum HiddenState: Hashable {
    /// The last one, normalized: Stable Diffusion 1 and 2.
    case last
    /// The second to last one, not normalized: Stable Diffusion XL and 3.
    case penultimate
    /// None: FLUX reads only the pooled state.
    case unread
  }

  /// Builds the encoder: `tokens` and `end` to `hidden` and `pooled`.
  ///
  /// The pooled state is that of the whole encoder, projected if there is a projection.
  ///
  /// - Parameters:
  ///   - rows: the number of prompts.
  ///   - state: the hidden state.
  ///   - skippedLayers: the number of layers before that state (clip skip); a last state is
  ///     normalized in any case, as in diffusers.
  func graph(
    rows: Int, state: HiddenState = .last, skippedLayers: Int = 0
  ) throws(GraphError) -> Graph {
    let skipped = skippedLayers + (state == .penultimate ? 1 : 0)
    precondition((0..<configuration.layerCount).contains(skipped), "no layer would be left")
    let count = configuration.tokenCount
    let graph = Graph(name: "text_encoder_\(rows)_\(state)_skip\(skippedLayers)")
    let tokens = graph.input("tokens", shape: [rows, count], type: .int64)
    let end = graph.input("end", shape: [rows], type: .int64)
    let embeddings = weights["embeddings"]
    let places = try embeddings["position_embedding"].value("weight", in: graph)
    var last =
      try tokens.embedding(embeddings["token_embedding"])
      + places.sliced(axis: 0, from: 0, to: count)
    let mask = causalMask(in: graph)
    var hidden = last
    for index in 0..<configuration.layerCount {
      last = try last.clipLayer(
        weights["encoder"]["layers"][index], heads: configuration.headCount,
        activation: configuration.activation, epsilon: configuration.epsilon, mask: mask)
      if index == configuration.layerCount - 1 - skipped { hidden = last }
    }
    let final = weights["final_layer_norm"]
    if state == .last { hidden = try norm(hidden, final) }
    try hidden.expect([rows, count, configuration.width], of: "the text encoder")
    graph.output(hidden, as: "hidden")
    var pooled = try norm(last, final).token(at: end)
    if configuration.projectionWidth != nil {
      pooled = try pooled.linear(weights["text_projection"])
    }
    graph.output(pooled, as: "pooled")
    return graph
  }

  private func norm(_ hidden: Value, _ layer: WeightScope) throws(GraphError) -> Value {
    try hidden.layerNorm(layer, epsilon: configuration.epsilon)
  }

  /// Masks later tokens for each token.
  private func causalMask(in graph: Graph) -> Value {
    let count = configuration.tokenCount
    let scalars = (0..<count).flatMap { row in
      (0..<count).map { column in column > row ? -Float.greatestFiniteMagnitude : 0 }
    }
    return graph.constant(scalars, shape: [1, 1, count, count])
  }
}

extension WeightStore {
  /// The weights without the prefix `text_model.` of older files.
  func withoutTextModelPrefix() -> WeightStore {
    let prefix = "text_model."
    return renamed { $0.hasPrefix(prefix) ? String($0.dropFirst(prefix.count)) : $0 }
  }
}
