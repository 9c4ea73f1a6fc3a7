package import FlowCore
package import FlowGraph

/// An adapter that reads an image of its own: a control image or a reference.
///
/// The features of the image are computed once, by ``imageGraph(for:isUnconditional:)``, and are
/// network inputs like the adapter's scales. Every row of a batch has an image and scales of its
/// own, which may change from tick to tick. A row with scales of 0 is the same as without the
/// adapter, and a row without an image has zeros for all inputs. The names of all these inputs
/// begin with ``name`` and a dot.
package protocol ImageAdapter: NetworkAdapter {
  /// The prefix of the names of its inputs, such as `adapter0`. It is assigned when a file is
  /// opened, and distinguishes the adapters of one network.
  var name: String { get }
  /// Its weights, whose identities are part of the key of compiled programs.
  var weightStores: [WeightStore] { get }
  /// Whether it reads the text's hidden states and the timestep itself. Where the network reads tables
  /// in their place (``PrecomputedInput``), the graph takes both: the tables, and the inputs of the
  /// conditioning and `timestep` that the adapter reads.
  var readsConditioning: Bool { get }
  /// The number of scales of a row: the width of the input `<name>.scales`, `[rows, scaleCount]`.
  var scaleCount: Int { get }

  /// The color space or latent space that ``imageGraph(for:isUnconditional:)`` reads.
  var imageSpace: ImageSpace { get }
  /// How an image of another size is resized to ``imageSize(for:)``.
  var resampling: ImageResampling { get }
  /// The size in pixels of the image that it reads for an output of a size.
  func imageSize(for size: PixelSize) -> PixelSize
  /// Builds the graph that is computed once for each image: from the input of its ``imageSpace`` to
  /// the inputs of one row, under their full names.
  ///
  /// - Parameters:
  ///   - size: the size in pixels of the output image.
  ///   - isUnconditional: for the row of the unconditional prediction. If that reads no image, the
  ///     graph reads `zeros` instead, an input to be filled with zeros, or nothing, and gives the
  ///     same for every image.
  /// - Throws: a `GraphError` for weights that do not fit.
  func imageGraph(for size: PixelSize, isUnconditional: Bool) throws(GraphError) -> Graph
  /// The scales of a row, ``scaleCount`` of them.
  ///
  /// - Parameters:
  ///   - scale: the user's strength; 1 is the strength in the adapter's training, 0 disables it.
  ///   - isUnconditional: for the row of the unconditional prediction.
  func scales(_ scale: Float, isUnconditional: Bool) -> [Float]

  /// The names of distributions of a scale over the network, such as `style`; empty for most
  /// adapters.
  var presets: [String] { get }
  /// The scales of a row, distributed over the network by one of ``presets``; nil for evenly.
  ///
  /// - Throws: `requestInvalid` for a preset that it does not have.
  func scales(
    _ scale: Float, preset: String?, isUnconditional: Bool
  ) throws(ModelError) -> [Float]

  /// Whether each row has a mask of the area where the adapter acts.
  var readsMask: Bool { get }
  /// Builds the graph of a row's input `<name>.mask`, for adapters with masks: from `mask`, 8-bit
  /// `[1, height, width]` of the output's size, 255 where the adapter acts. A row without a mask
  /// has ones. Nil if the network has no such input.
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

  package var readsMask: Bool { false }
  package func maskGraph(for size: PixelSize) throws(GraphError) -> Graph? { nil }

  func unknownPreset(_ preset: String) -> ModelError {
    let known = presets.isEmpty ? "none" : presets.joined(separator: ", ")
    return ModelError(
      code: .requestInvalid,
      message: "the adapter has no preset '\(preset)' of its scales; it has \(known)",
      settings: [.adapters])
  }
}

/// How an image is resized for an adapter.
package enum ImageResampling: Sendable {
  /// Stretched by Lanczos' filter (Pillow's `LANCZOS`), as diffusers does with control images.
  case lanczosStretch
  /// The shorter side resized by a bicubic filter that widens for downsampling (Pillow's
  /// `BICUBIC`), and cropped to the center, as in CLIP: `PixelImage.bicubicMiddle`.
  case bicubicMiddle
}

/// The form in which an adapter reads an image.
package enum ImageSpace: Equatable, Sendable {
  /// The input `pixels`, 8-bit RGB of shape `[1, height, width, 3]`.
  case pixels
  /// The input `latents`, the mean of the model's autoencoder for the image, `[1, channels, height,
  /// width]` in latent pixels.
  ///
  /// They are scaled as the network's latents, `(z - shift) * scale`; or without the shift, `z *
  /// scale`, if not `isShifted`.
  case latents(isShifted: Bool)
}
