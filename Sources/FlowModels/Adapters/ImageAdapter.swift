package import FlowCore
package import FlowGraph

/// An adapter that reads an image of its own: a control image or a reference.
///
/// What it makes of the image is computed once, by ``imageGraph(for:isUnconditional:)``, and is an
/// input of the network like its scales. So every row of a batch has an image and scales of its own,
/// which may change from tick to tick; a row of scales of 0 is as without the adapter, and one without
/// an image has zeros for all inputs.
/// The names of all these inputs begin with ``name`` and a dot.
package protocol ImageAdapter: NetworkAdapter {
  /// What the names of its inputs begin with, such as `adapter0`; it is given when a file is opened,
  /// and tells the adapters of one network apart.
  var name: String { get }
  /// Its weights, by whose identity compiled programs are found again.
  var weightStores: [WeightStore] { get }
  /// Whether it reads the text's hidden states and the timestep itself. Where the network reads tables
  /// in their place (``PrecomputedInput``), the graph takes both: the tables, and the inputs of the
  /// conditioning and `timestep` that the adapter reads.
  var readsConditioning: Bool { get }
  /// The number of scales of a row: the width of the input `<name>.scales`, `[rows, scaleCount]`.
  var scaleCount: Int { get }

  /// What ``imageGraph(for:isUnconditional:)`` reads.
  var imageSpace: ImageSpace { get }
  /// How an image of another size is brought to ``imageSize(for:)``.
  var resampling: ImageResampling { get }
  /// The size in pixels of the image that it reads for an output of a size.
  func imageSize(for size: PixelSize) -> PixelSize
  /// Writes down what is computed once for each image: the input of its ``imageSpace``, to the
  /// inputs of one row, under their full names.
  ///
  /// - Parameters:
  ///   - size: the size in pixels of the output image.
  ///   - isUnconditional: for the row of the unconditional prediction. Where that reads no image, the
  ///     graph takes `zeros` instead, an input to be filled with them, or nothing, and gives the same
  ///     for every image.
  /// - Throws: a `GraphError` for weights that do not fit.
  func imageGraph(for size: PixelSize, isUnconditional: Bool) throws(GraphError) -> Graph
  /// The scales of a row, ``scaleCount`` of them.
  ///
  /// - Parameters:
  ///   - scale: the strength that a user asks for; 1 is what the adapter was trained with, 0 none.
  ///   - isUnconditional: for the row of the unconditional prediction.
  func scales(_ scale: Float, isUnconditional: Bool) -> [Float]

  /// The names of ways to spread a scale over the network, such as `style`; none for most.
  var presets: [String] { get }
  /// The scales of a row, spread over the network as one of ``presets`` says; nil for evenly.
  ///
  /// - Throws: `requestInvalid` for a preset that it does not have.
  func scales(
    _ scale: Float, preset: String?, isUnconditional: Bool
  ) throws(ModelError) -> [Float]

  /// Writes down what makes the input `<name>.mask` of a row of a mask, where rows have masks:
  /// `mask`, 8-bit `[1, height, width]` of the output's size, 255 where the adapter acts. A row
  /// without a mask has ones there. Nil where the network takes no such input.
  ///
  /// - Parameter size: the size in pixels of the output image.
  func maskGraph(for size: PixelSize) throws(GraphError) -> Graph?
}

extension ImageAdapter {
  package var imageSpace: ImageSpace { .pixels }
  package var resampling: ImageResampling { .lanczosStretch }
  package var presets: [String] { [] }

  package func scales(
    _ scale: Float, preset: String?, isUnconditional: Bool
  ) throws(ModelError) -> [Float] {
    if let preset { throw unknownPreset(preset) }
    return scales(scale, isUnconditional: isUnconditional)
  }

  package func maskGraph(for size: PixelSize) throws(GraphError) -> Graph? { nil }

  func unknownPreset(_ preset: String) -> ModelError {
    let known = presets.isEmpty ? "none" : presets.joined(separator: ", ")
    return ModelError(
      code: .requestInvalid,
      message: "the adapter has no preset '\(preset)' of its scales; it has \(known)")
  }
}

/// How an image is resized for an adapter.
package enum ImageResampling: Sendable {
  /// Stretched by Lanczos' filter (Pillow's `LANCZOS`), as diffusers does with control images.
  case lanczosStretch
  /// The shorter side resized by a bicubic filter that widens where the image shrinks (Pillow's
  /// `BICUBIC`), and the middle cut out, as CLIP does: `PixelImage.bicubicMiddle`.
  case bicubicMiddle
}

/// What an adapter reads an image as.
package enum ImageSpace: Equatable, Sendable {
  /// The input `pixels`, 8-bit RGB of shape `[1, height, width, 3]`.
  case pixels
  /// The input `latents`, the mean that the model's autoencoder gives for the image,
  /// `[1, channels, height, width]` in latent pixels.
  ///
  /// They are scaled as the network reads its latents, `(z - shift) * scale`; or without the shift,
  /// `z * scale`, where not `isShifted`.
  case latents(isShifted: Bool)
}
