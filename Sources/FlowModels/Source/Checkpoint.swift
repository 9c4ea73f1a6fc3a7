public import FlowCore
public import FlowGraph

/// A model on disk: its configurations read, its weights mapped.
public struct Checkpoint: Sendable {
  /// The name that pictures are marked with: the folder's or the file's.
  public let name: String
  /// The folder, or the file of a model in one file.
  public let folder: String
  /// The pipeline that `model_index.json` names, or that a single file is one of.
  public let pipelineName: String
  /// Its networks with their weights.
  public internal(set) var components: [Component]
  /// The autoencoder.
  public let autoencoder: AutoencoderConfiguration

  /// The phrases that it was trained on, if it says so: any other prompt is likely to disappoint.
  public let vocabulary: PromptVocabulary?

  /// The autoencoder that was asked for.
  public internal(set) var autoencoderChoice = AutoencoderChoice.automatic

  /// What was added to its weights, in order.
  public internal(set) var additions: [AppliedWeights] = []

  /// What the folder's `streamflow.json` says of the model.
  package let notes: ModelNotes
  package let scheduler: SchedulerConfiguration
  /// What it is.
  package let family: any ModelFamily

  /// Puts a model together from its parts.
  ///
  /// - Parameters:
  ///   - name: the name that images are marked with.
  ///   - folder: the folder or the file.
  ///   - parts: what a family read.
  ///   - notes: what a person knows of it.
  /// - Throws: `unsupported` where the autoencoder is of other latents than the network.
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
    vocabulary = try PromptVocabulary(besideNotesAt: notes.path)
    try checkPairing()
  }

  /// Its text encoders, in the order of their components.
  package var textEncoders: [any TextEncoding] { family.textEncoders }

  /// The tokens that the network reads of a chunk of a prompt, the start and end tokens included.
  public var tokenCount: Int { family.chunkTokenCount }

  /// What width and height of an image are multiples of, in pixels.
  public var sizeMultiple: Int { autoencoder.factor * family.latentSpace.alignment }

  /// The size of images that the network was trained for.
  public var nativeSize: PixelSize {
    let (latents, factor) = (family.latentSpace, autoencoder.factor)
    return PixelSize(width: latents.width * factor, height: latents.height * factor)
  }

  /// The schedule's class as the checkpoint names it.
  public var schedulerName: String { scheduler.className }
}
