public import FlowCore
public import FlowGraph

/// A model on disk, with its configurations read and its weights mapped.
public struct Checkpoint: Sendable {
  /// The model name recorded in images: the folder's or the file's.
  public let name: String
  /// The folder, or the file of a single-file model.
  public let folder: String
  /// The pipeline in `model_index.json`, or the pipeline that a single file corresponds to.
  public let pipelineName: String
  /// Its networks with their weights.
  public internal(set) var components: [Component]
  /// The autoencoder.
  public let autoencoder: AutoencoderConfiguration

  /// The phrases that it was trained on, if it lists them: other prompts are likely to give poor
  /// results.
  public let vocabulary: PromptVocabulary?

  /// The requested autoencoder.
  public internal(set) var autoencoderChoice = AutoencoderChoice.automatic

  /// The files that replaced weights of its components.
  public internal(set) var componentFiles = ComponentFiles()

  /// The applied adapters and weight differences, in order.
  public internal(set) var additions: [AppliedWeights] = []

  /// The settings in the folder's `streamflow.json`.
  package let notes: ModelNotes
  /// The adapters that requests may use, in order.
  public internal(set) var adapters: [AttachedAdapter] = []
  package let scheduler: SchedulerConfiguration
  /// The model family.
  package internal(set) var family: any ModelFamily

  /// Assembles a model from its parts.
  ///
  /// - Parameters:
  ///   - name: the model name recorded in images.
  ///   - folder: the folder or the file.
  ///   - parts: the parts that a family has loaded.
  ///   - notes: the settings in `streamflow.json`.
  /// - Throws: `unsupported` if the latents of autoencoder and network differ.
  init(
    name: String, folder: String, _ parts: ModelParts, notes: ModelNotes
  ) throws(ModelError) {
    self.name = name
    self.folder = folder
    pipelineName = parts.pipelineName
    family = parts.family
    autoencoder = parts.autoencoder.configuration
    components =
      parts.components + [
        Component(
          .autoencoder, name: "vae", architecture: autoencoder.className,
          weights: parts.autoencoder.weights)
      ]
    self.notes = notes
    scheduler = parts.scheduler
    vocabulary = try PromptVocabulary(beside: notes)
    try checkPairing()
  }

  /// Its text encoders, in the order of their components.
  package var textEncoders: [any TextEncoding] { family.textEncoders }

  /// The number of tokens in a chunk of a prompt, including start and end tokens.
  public var tokenCount: Int { family.chunkTokenCount }

  /// The alignment of an image's width and height in pixels.
  public var sizeMultiple: Int { autoencoder.factor * family.latentSpace.alignment }

  /// The image size that the network was trained for.
  public var nativeSize: PixelSize {
    let (latents, factor) = (family.latentSpace, autoencoder.factor)
    return PixelSize(width: latents.width * factor, height: latents.height * factor)
  }

  /// The class of the checkpoint's scheduler.
  public var schedulerName: String { scheduler.className }
}
