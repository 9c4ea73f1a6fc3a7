package import FlowCore
package import FlowGraph

/// A family of models.
///
/// It contains everything specific to the family, so that the rest of the package needs no names of
/// models.
///
/// A family is a folder and an entry of ``ModelFamilies``.
package protocol ModelFamily: Sendable {
  // MARK: On disk

  /// The diffusers pipelines of this family.
  static var pipelines: [String] { get }
  /// The kinds of models in the family (what they were distilled to), and how they are detected.
  static var kinds: [ModelKind] { get }
  /// Whether a file with original names contains a model of this family, or most of one.
  static func recognizes(_ store: WeightStore) -> Bool
  /// Loads a model's parts.
  ///
  /// - Throws: a `ModelError` for missing or unsupported parts.
  static func open(_ source: ModelSource, _ options: LoadOptions) throws -> ModelParts

  // MARK: What it computes

  /// The latents of the family.
  var latentSpace: LatentSpace { get }
  /// The text encoders, in the order of their components.
  var textEncoders: [any TextEncoding] { get }
  /// How conditionings of different lengths share a batch.
  var conditioningLayout: ConditioningLayout { get }
  /// The number of tokens in one chunk of a conditioning's text.
  var chunkTokenCount: Int { get }
  /// The default spacing of flow-matching times.
  var spacing: FlowMatchingSchedule.Spacing { get }
  /// The number of image tokens for latents, by which schedules shift.
  ///
  /// - Parameter latentPixels: the latents' height times their width.
  func imageTokenCount(latentPixels: Int) -> Int
  /// The family's own shift of flow matching, if it replaces the one of the scheduler's file.
  func timeShift(stepCount: Int, imageTokenCount: Int) -> TimeShift?
  /// How the network reads a mask and the latents of the masked image, in the input
  /// ``maskedImageInput``; nil if it does not.
  var maskedImage: MaskedImageLayout? { get }
  /// How the network reads reference images, in the inputs ``referenceInput(_:)``, `[rows, channels,
  /// height, width]`; nil if it reads none.
  var references: ReferenceReading? { get }
  /// Whether the network reads the keys and values of reference images in all layers, in
  /// ``referenceTableInput``, in place of their latents.
  var readsReferenceTable: Bool { get }
  /// The graph from the latents of one row's reference images, in ``referenceInput(_:)``, and
  /// `timestep`, `[1]`, which is 0, to ``referenceTableInput``.
  ///
  /// - Parameters:
  ///   - references: the sizes of the latents.
  ///   - weights: the network's weights.
  /// - Throws: a `GraphError` for weights that do not match.
  /// - Precondition: ``readsReferenceTable``.
  func referenceTable(
    of references: [LatentSize], weights: WeightScope
  ) throws(GraphError) -> Graph
  /// The number of the network's layers that skip-layer guidance may leave out; 0 if it may not.
  var skippableLayerCount: Int { get }
  /// Whether the network reads the guidance scale itself.
  var readsGuidanceScale: Bool { get }
  /// Whether an absent negative prompt is a conditioning of zeros instead of an encoded empty text.
  var zeroesEmptyPrompt: Bool { get }

  /// The text that is encoded for a prompt; a negative prompt is encoded unchanged.
  func message(for prompt: String) -> String
  /// Combines the outputs of all text encoders for a prompt into the states that the network reads.
  func states(of encoded: [EncodedText]) throws(ModelError) -> TextStates
  /// The conditioning of a prompt.
  ///
  /// - Parameters:
  ///   - states: the combined text states; nil for a conditioning of zeros.
  ///   - guidanceScale: the scale, for a network that reads it.
  ///   - size: the size of the image.
  func conditioning(
    of states: TextStates?, guidanceScale: Float, size: PixelSize
  ) -> Conditioning

  /// Builds the network: `sample`, `timestep` and the inputs of
  /// ``conditioning(of:guidanceScale:size:)`` to `output`.
  ///
  /// - Parameters:
  ///   - shape: the shapes of the batch.
  ///   - precomputed: the inputs that are read from tables (``precomputedInputs(_:weights:)``).
  ///   - adapters: the attached adapters.
  ///   - weights: its weights.
  /// - Throws: a `GraphError` for weights that do not match.
  func network(
    _ shape: BatchShape, precomputed: Set<PortName>, adapters: [any NetworkAdapter],
    weights: WeightScope
  ) throws(GraphError) -> Graph

  /// The inputs that are computed once, before the ticks.
  ///
  /// - Parameters:
  ///   - shape: the shapes of one row.
  ///   - only: the requested inputs; nil for those that are worthwhile at this shape.
  ///   - weights: its weights.
  /// - Throws: a `GraphError` for weights that do not match.
  func precomputedInputs(
    _ shape: BatchShape, only: Set<PortName>?, weights: WeightScope
  ) throws(GraphError) -> [PrecomputedInput]

  // MARK: For all components

  /// The approximate bytes of activations per batch row.
  ///
  /// - Parameter latentPixels: the latents' height times their width.
  func activationByteCount(latentPixels: Double) -> Double
  /// The approximate bytes that a batch row's reference images add.
  ///
  /// - Parameter latentPixels: the sum of their latents' heights times widths.
  func referenceByteCount(latentPixels: Double) -> Double
  /// The name in this package of a layer that a LoRA names in the original scheme.
  func layerName(ofOriginal name: String) -> String?
  /// The layers in this package of a layer that a LoRA names in the original scheme, if there may
  /// be several.
  func layerParts(ofOriginal name: String) -> LayerParts?
  /// The width of the text states that the network reads.
  var textWidth: Int { get }
  /// Whether the network reads a pooled text.
  var readsPooledText: Bool { get }
  /// The published network with the model's configuration, if the configuration distinguishes them.
  var variant: String? { get }
  /// The layers of the network that always compute in float32.
  ///
  /// - Throws: a `GraphError` for weights that do not match.
  func floatLayers(weights: WeightScope) throws(GraphError) -> Set<String>
}

extension ModelFamily {
  package var chunkTokenCount: Int { textEncoders[0].tokenCount }
  package func message(for prompt: String) -> String { prompt }
  package var spacing: FlowMatchingSchedule.Spacing { .diffusers }
  package func imageTokenCount(latentPixels: Int) -> Int { latentPixels / 4 }
  package var variant: String? { nil }
  package var maskedImage: MaskedImageLayout? { nil }
  /// Whether the network reads a mask and the latents of the masked image.
  package var readsMaskedImage: Bool { maskedImage != nil }
  /// The input of networks that read a masked image: the mask, 1 where the image is repainted, and
  /// the latents of the image without that part (``MaskedImageLayout``).
  package var maskedImageInput: PortName { "masked_image" }
  package var references: ReferenceReading? { nil }
  package var readsReferenceTable: Bool { false }
  /// The input of the keys and values of all reference images.
  package var referenceTableInput: PortName { "references" }
  package func referenceTable(
    of references: [LatentSize], weights: WeightScope
  ) throws(GraphError) -> Graph {
    preconditionFailure("the network reads the latents of reference images")
  }
  package func referenceByteCount(latentPixels: Double) -> Double {
    activationByteCount(latentPixels: latentPixels) - activationByteCount(latentPixels: 0)
  }
  package var skippableLayerCount: Int { 0 }
  /// The input that says which rows leave layers out, `[rows]`, 1 or 0; see
  /// ``BatchShape/skippableLayers``.
  package var skipInput: PortName { "skip" }
  /// The input of the latents of a reference image, numbered from 0.
  package func referenceInput(_ index: Int) -> PortName { PortName("reference\(index)") }
  package func layerParts(ofOriginal name: String) -> LayerParts? {
    layerName(ofOriginal: name).map { LayerParts($0) }
  }
  package func timeShift(stepCount: Int, imageTokenCount: Int) -> TimeShift? { nil }
}

/// The supported families.
package enum ModelFamilies {
  /// The first family in this list that recognizes a source reads it.
  ///
  /// ``StableDiffusion`` accepts every file whose network has the prefix of the original
  /// repositories, so more specific families come before it.
  package static let all: [any ModelFamily.Type] = [
    Flux.self, Flux2.self, ZImage.self, StableDiffusion3.self, DreamLite.self,
    StableDiffusion.self,
  ]

  /// The family of a folder's pipeline.
  package static func family(ofPipeline name: String) -> (any ModelFamily.Type)? {
    all.first { $0.pipelines.contains(name) }
  }

  /// The family of a file with original names.
  package static func family(of store: WeightStore) -> (any ModelFamily.Type)? {
    all.first { $0.recognizes(store) }
  }
}

/// The channels of a masked image, `[rows, channels, height, width]`.
package enum MaskedImageLayout: Sendable {
  /// One channel of the mask in latent pixels, followed by the latents.
  case cells
  /// The latents, followed by the mask of each latent pixel's pixels, row by row.
  case pixels
}

/// The shapes of one network.
package struct BatchShape: Hashable, Sendable {
  /// The batch rows.
  package let rows: Int
  /// The latents' height.
  package let height: Int
  /// The latents' width.
  package let width: Int
  /// The tokens of a conditioning's text.
  package let tokens: Int
  /// The latents of the reference images, which are the same sizes in every row.
  package let references: [LatentSize]
  /// The layers that rows leave out where the input ``ModelFamily/skipInput`` is 1; without any, the
  /// network has no such input.
  package let skippableLayers: Set<Int>

  package init(
    rows: Int, height: Int, width: Int, tokens: Int, references: [LatentSize] = [],
    skippableLayers: Set<Int> = []
  ) {
    self.rows = rows
    self.height = height
    self.width = width
    self.tokens = tokens
    self.references = references
    self.skippableLayers = skippableLayers
  }
}

/// The latents of a family.
package struct LatentSpace: Equatable, Sendable {
  /// The channels.
  package let channels: Int
  /// The height in latent pixels that the network was trained for.
  package let height: Int
  /// The width in latent pixels that the network was trained for.
  package let width: Int
  /// The published tiny autoencoder for these latents, if there is one.
  package let published: PublishedAutoencoder?
  /// The alignment of height and width in latent pixels: 2 if the network reads patches of 2 x 2.
  package let alignment: Int

  package init(
    channels: Int, height: Int, width: Int, published: PublishedAutoencoder?, alignment: Int = 1
  ) {
    self.channels = channels
    self.height = height
    self.width = width
    self.published = published
    self.alignment = alignment
  }
}

/// A model's parts as loaded by a family.
package struct ModelParts {
  package let pipelineName: String
  package let family: any ModelFamily
  /// All components except the autoencoder.
  package var components: [Component]
  package let autoencoder: AutoencoderParts
  package let scheduler: SchedulerConfiguration
}
