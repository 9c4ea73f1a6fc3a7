internal import FlowCore
internal import FlowGraph

/// The projection of CLIP's output for a reference image to tokens, in the names of the original
/// files (github.com/tencent-ailab/IP-Adapter).
struct ImageProjection: Equatable {
  /// The kind of projection.
  enum Kind: Equatable {
    /// One layer over the image embedding.
    case plain
    /// Two layers over each token of the second-to-last hidden state (`full-face`).
    case full
    /// Queries that attend to those tokens (`plus`, `plus-face`), as in Flamingo (Alayrac et al.,
    /// 2022, arXiv:2204.14198).
    case resampler(layerCount: Int, headCount: Int)
  }

  let kind: Kind
  /// The width of its input.
  let inputWidth: Int
  /// The width of its tokens: that of the network's text.
  let width: Int
  /// The number of its tokens; nil for as many as the image encoder has.
  let tokenCount: Int?

  /// The width of a head of the resampler, in all published files.
  private static let headWidth = 64
  /// The tokens of a plain projection, in all published files.
  private static let plainTokenCount = 4

  /// Recognizes its kind from the tensors of a file, without `image_proj.`.
  ///
  /// - Throws: `unsupported` for another kind.
  init(_ shapes: [String: Shape], path: String) throws(ModelError) {
    func extent(_ name: String, _ axis: Int) throws(ModelError) -> Int {
      guard let extent = shapes.extent(name, axis), extent > 0 else {
        throw ModelError(
          code: .fileInvalid,
          message: "'\(path)': the IP-Adapter has no 'image_proj.\(name)' of \(axis + 1) axes or "
            + "more, which its other tensors ask for")
      }
      return extent
    }
    let isFaceID =
      shapes.has("perceiver_resampler")
      || shapes["norm.weight"] != nil && shapes["proj.0.weight"] != nil
    guard !isFaceID else {
      throw ModelError(
        code: .unsupported,
        message:
          "'\(path)' is an IP-Adapter of the FaceID kind, which reads the embedding of a face "
          + "recognizer instead of an image; expected a plain, Plus or Full-Face IP-Adapter")
    }
    if shapes["proj.weight"] != nil {
      kind = .plain
      inputWidth = try extent("proj.weight", 1)
      width = try extent("proj.weight", 0) / Self.plainTokenCount
      tokenCount = Self.plainTokenCount
    } else if shapes["proj.3.weight"] != nil {
      kind = .full
      inputWidth = try extent("proj.0.weight", 1)
      width = try extent("proj.3.weight", 0)
      tokenCount = nil
    } else if shapes["latents"] != nil {
      kind = .resampler(
        layerCount: shapes.count(of: "layers"),
        headCount: try extent("layers.0.0.to_q.weight", 0) / Self.headWidth)
      inputWidth = try extent("proj_in.weight", 1)
      width = try extent("proj_out.weight", 0)
      tokenCount = try extent("latents", 1)
    } else {
      let example = shapes.keys.min().map { ", such as 'image_proj.\($0)'" } ?? ""
      throw ModelError(
        code: .unsupported,
        message:
          "'\(path)' contains no known IP-Adapter\(example); expected 'image_proj.' with "
          + "'proj.weight' (plain), 'latents' (Plus) or 'proj.3.weight' (Full-Face)")
    }
  }

  /// Whether it reads the image embedding, not the hidden state.
  var readsEmbedding: Bool { kind == .plain }

  /// The names of all its weights.
  var weightNames: Set<String> {
    func both(_ layers: [String]) -> [String] { layers.flatMap { ["\($0).weight", "\($0).bias"] } }
    switch kind {
    case .plain: return Set(both(["proj", "norm"]))
    case .full: return Set(both(["proj.0", "proj.2", "proj.3"]))
    case .resampler(let layerCount, _):
      var names = ["latents"] + both(["proj_in", "proj_out", "norm_out"])
      for index in 0..<layerCount {
        let layer = "layers.\(index)"
        names += both(["\(layer).0.norm1", "\(layer).0.norm2", "\(layer).1.0"])
        names += ["0.to_q", "0.to_kv", "0.to_out", "1.1", "1.3"].map { "\(layer).\($0).weight" }
      }
      return Set(names)
    }
  }

  /// The tokens of the encoder's output: `[1, width]` for a plain one, `[1, tokens, width]` for the
  /// others, to `[1, tokens, width]`.
  func tokens(of input: Value, _ weights: WeightScope) throws(GraphError) -> Value {
    switch kind {
    case .plain:
      return try input.linear(weights["proj"])
        .reshaped([input.shape[0], Self.plainTokenCount, width])
        .layerNorm(weights["norm"])
    case .full:
      let layers = weights["proj"]
      return try input.linear(layers[0]).gelu().linear(layers[2]).layerNorm(layers[3])
    case .resampler(let layerCount, let headCount):
      let image = try input.linear(weights["proj_in"])
      var queries = try weights.value("latents", in: input.graph)
      for index in 0..<layerCount {
        queries = try resampled(queries, image, weights["layers"][index], heads: headCount)
      }
      return try queries.linear(weights["proj_out"]).layerNorm(weights["norm_out"])
    }
  }

  /// A layer of the resampler: queries attend to the image's tokens and to themselves.
  private func resampled(
    _ queries: Value, _ image: Value, _ layer: WeightScope, heads: Int
  ) throws(GraphError) -> Value {
    let attention = layer[0]
    let normed = try queries.layerNorm(attention["norm2"])
    let context = try Value.concatenated(
      [image.layerNorm(attention["norm1"]), normed], axis: 1)
    // Keys and values are one layer.
    let width = try attention["to_kv"].shape(of: "weight")[0] / 2
    let hidden =
      try queries
      + normed.linear(attention["to_q"])
      .attention(
        key: context.linear(attention["to_kv"], outputs: 0..<width),
        value: context.linear(attention["to_kv"], outputs: width..<2 * width), heads: heads
      )
      .linear(attention["to_out"])
    let feedForward = layer[1]
    return try hidden
      + hidden.layerNorm(feedForward[0]).linear(feedForward[1]).gelu().linear(feedForward[3])
  }
}
