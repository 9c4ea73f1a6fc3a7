package import FlowCore
package import FlowGraph

/// A family of models: everything that tells it from others, so that the rest of the package knows
/// none by name.
///
/// A family is a folder and a line of ``ModelFamilies``.
package protocol ModelFamily: Sendable {
  // MARK: On disk

  /// The pipelines of diffusers whose folders are of this family.
  static var pipelines: [String] { get }
  /// What models of the family were distilled to, and how that is seen.
  static var kinds: [ModelKind] { get }
  /// Whether a file in the original names holds a model of this family, or most of one.
  static func recognizes(_ store: WeightStore) -> Bool
  /// Reads a model's parts.
  ///
  /// - Throws: a `ModelError` for what is missing or not supported.
  static func open(_ source: ModelSource, _ options: LoadOptions) throws -> ModelParts

  // MARK: What it computes

  /// The latents that it works on.
  var latentSpace: LatentSpace { get }
  /// The text encoders, in the order of their components.
  var textEncoders: [any TextEncoding] { get }
  /// How conditionings of different lengths share a batch.
  var conditioningLayout: ConditioningLayout { get }
  /// The tokens that one chunk of a conditioning's text has.
  var chunkTokenCount: Int { get }
  /// How the times of flow matching are laid out where a request does not say.
  var spacing: FlowMatchingSchedule.Spacing { get }
  /// The image tokens that the network makes of latents, by whose number schedules shift.
  ///
  /// - Parameter latentPixels: the latents' height times their width.
  func imageTokenCount(latentPixels: Int) -> Int
  /// The shift of flow matching, where that is the family's own and not what the scheduler's file
  /// says.
  func timeShift(stepCount: Int, imageTokenCount: Int) -> TimeShift?
  /// Whether the network reads the guidance scale itself.
  var readsGuidanceScale: Bool { get }
  /// Whether an absent negative prompt is a conditioning of zeros instead of an encoded empty text.
  var zeroesEmptyPrompt: Bool { get }

  /// What all text encoders made of a prompt, as the network's conditioning needs it.
  func states(of encoded: [EncodedText]) throws(ModelError) -> TextStates
  /// What the network reads of a prompt.
  ///
  /// - Parameters:
  ///   - states: what the text encoders made of it; nil for a conditioning of zeros.
  ///   - guidanceScale: the scale, for a network that reads it.
  ///   - size: the size of the image.
  func conditioning(
    of states: TextStates?, guidanceScale: Float, size: PixelSize
  ) -> Conditioning

  /// Writes the network down: `sample`, `timestep` and the inputs of ``conditioning(of:guidanceScale:size:)``
  /// to `output`.
  ///
  /// - Parameters:
  ///   - shape: the batch.
  ///   - precomputed: the inputs that are read from tables (``precomputedInputs(_:weights:)``).
  ///   - adapters: what is attached to the network.
  ///   - weights: its weights.
  /// - Throws: a `GraphError` for weights that do not fit.
  func network(
    _ shape: BatchShape, precomputed: Set<PortName>, adapters: [any NetworkAdapter],
    weights: WeightScope
  ) throws(GraphError) -> Graph

  /// The inputs that are computed once, before the ticks.
  ///
  /// - Parameters:
  ///   - shape: one row.
  ///   - only: which of them; nil for those that pay at this shape.
  ///   - weights: its weights.
  /// - Throws: a `GraphError` for weights that do not fit.
  func precomputedInputs(
    _ shape: BatchShape, only: Set<PortName>?, weights: WeightScope
  ) throws(GraphError) -> [PrecomputedInput]

  // MARK: For all components

  /// The bytes, about, that the activations of a batch row take.
  ///
  /// - Parameter latentPixels: the latents' height times their width.
  func activationByteCount(latentPixels: Double) -> Double
  /// The name in this package of a layer that a LoRA names as the original repositories do.
  func layerName(ofOriginal name: String) -> String?
  /// The layers in this package of a layer that a LoRA names as the original repositories do, where
  /// that may be several.
  func layerParts(ofOriginal name: String) -> LayerParts?
  /// The width of the texts that the network reads.
  var textWidth: Int { get }
  /// Whether the network reads a pooled text.
  var readsPooledText: Bool { get }
  /// Which of the family's published networks is built like the model's, where the configuration
  /// tells them apart.
  var variant: String? { get }
  /// The layers of the network that compute in float32 in any case.
  ///
  /// - Throws: a `GraphError` for weights that do not fit.
  func floatLayers(weights: WeightScope) throws(GraphError) -> Set<String>
}

extension ModelFamily {
  package var chunkTokenCount: Int { textEncoders[0].tokenCount }
  package var spacing: FlowMatchingSchedule.Spacing { .diffusers }
  package func imageTokenCount(latentPixels: Int) -> Int { latentPixels / 4 }
  package var variant: String? { nil }
  package func layerParts(ofOriginal name: String) -> LayerParts? {
    layerName(ofOriginal: name).map { LayerParts($0) }
  }
  package func timeShift(stepCount: Int, imageTokenCount: Int) -> TimeShift? { nil }
}

/// The families that are known.
package enum ModelFamilies {
  /// The one table of signs on disk: the first family that recognizes a source reads it.
  ///
  /// ``StableDiffusion`` takes every file whose network has the prefix of the original
  /// repositories, and comes after those that look closer.
  package static let all: [any ModelFamily.Type] = [
    Flux.self, Flux2.self, ZImage.self, StableDiffusion3.self, StableDiffusion.self,
  ]

  /// The family of a folder's pipeline.
  package static func family(ofPipeline name: String) -> (any ModelFamily.Type)? {
    all.first { $0.pipelines.contains(name) }
  }

  /// The family of a file in the original names.
  package static func family(of store: WeightStore) -> (any ModelFamily.Type)? {
    all.first { $0.recognizes(store) }
  }
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

  package init(rows: Int, height: Int, width: Int, tokens: Int) {
    self.rows = rows
    self.height = height
    self.width = width
    self.tokens = tokens
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
  /// Which of the published tiny autoencoders is of these latents, if any is.
  package let published: PublishedAutoencoder?
  /// What height and width are multiples of, in latent pixels: 2 where the network reads patches of
  /// 2 x 2.
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

/// A model's parts, as a family reads them.
package struct ModelParts {
  package let pipelineName: String
  package let family: any ModelFamily
  /// All but the autoencoder.
  package var components: [Component]
  package let autoencoder: AutoencoderParts
  package let scheduler: SchedulerConfiguration
}
