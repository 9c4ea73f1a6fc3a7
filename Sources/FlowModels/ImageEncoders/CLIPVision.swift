internal import FlowCore
internal import FlowGraph

/// The image encoder of CLIP: `CLIPVisionModelWithProjection` (Radford et al., 2021,
/// arXiv:2103.00020), a vision transformer (Dosovitskiy et al., 2020, arXiv:2010.11929).
struct CLIPVision {
  let configuration: CLIPVisionConfiguration
  let weights: WeightStore

  /// Maps the encoder of a folder in the layout of transformers: `config.json` and
  /// `model.safetensors`.
  ///
  /// - Throws: a `ModelError` for a configuration that is not supported, a `GraphError` for missing
  ///   or unknown weights.
  init(folder: String, variant: String? = nil) throws {
    let file = try ConfigurationFile(path: "\(folder)/config.json")
    configuration = try CLIPVisionConfiguration(file)
    weights = try configuration.weights(
      WeightStore(folder: folder, stem: "model", variant: variant))
  }

  /// - Parameter weights: the encoder's own, under their names in the file.
  init(configuration: CLIPVisionConfiguration, weights: WeightStore) {
    (self.configuration, self.weights) = (configuration, weights)
  }

  /// The size of the image that it reads.
  var imageSize: PixelSize {
    PixelSize(width: configuration.imageSide, height: configuration.imageSide)
  }

  /// Mean and standard deviation of red, green and blue in CLIP's training images, in 0 to 1.
  private static let (mean, deviation): ([Float], [Float]) = (
    [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
  )

  /// The encoder's input, from RGB in 0 to 255, `[rows, 3, height, width]`.
  ///
  /// CLIP's resizing and cropping come before it: `PixelImage.bicubicMiddle`.
  func normalized(_ pixels: Value) throws(GraphError) -> Value {
    let graph = pixels.graph
    let (mean, deviation) = (Self.mean, Self.deviation)
    return try pixels * graph.constant(deviation.map { 1 / (255 * $0) }, shape: [1, 3, 1, 1])
      + graph.constant(mean.indices.map { -mean[$0] / deviation[$0] }, shape: [1, 3, 1, 1])
  }

  /// The embedding of normalized images, `[rows, projection width]`.
  func embedding(_ image: Value) throws(GraphError) -> Value {
    let hidden = try hidden(image, layerCount: configuration.layerCount)
    return try hidden.sliced(axis: 1, from: 0, to: 1)
      .layerNorm(weights.root["vision_model"]["post_layernorm"], epsilon: configuration.epsilon)
      .reshaped([image.shape[0], configuration.width])
      .linear(weights.root["visual_projection"])
  }

  /// The second-to-last hidden state of normalized images, `[rows, tokens, width]`, not normalized.
  func penultimate(_ image: Value) throws(GraphError) -> Value {
    try hidden(image, layerCount: configuration.layerCount - 1)
  }

  private func hidden(_ image: Value, layerCount: Int) throws(GraphError) -> Value {
    let model = weights.root["vision_model"]
    let embeddings = model["embeddings"]
    let (rows, width) = (image.shape[0], configuration.width)
    let patches = try image.convolution(
      embeddings["patch_embedding"], stride: configuration.patchSide
    ).flattenedToTokens()
    let whole = try embeddings.value("class_embedding", in: image.graph)
      .reshaped([1, 1, width])
    let wholes = try Value.concatenated([Value](repeating: whole, count: rows), axis: 0)
    var hidden = try Value.concatenated([wholes, patches], axis: 1)
    try hidden.expect([rows, configuration.tokenCount, width], of: "the image encoder")
    hidden = try hidden + embeddings["position_embedding"].value("weight", in: image.graph)
    hidden = try hidden.layerNorm(model["pre_layrnorm"], epsilon: configuration.epsilon)
    for index in 0..<layerCount {
      hidden = try hidden.clipLayer(
        model["encoder"]["layers"][index], heads: configuration.headCount,
        activation: configuration.activation, epsilon: configuration.epsilon)
    }
    return hidden
  }
}
