internal import FlowCore
public import FlowGraph
public import FlowText
internal import Foundation

/// One of a checkpoint's text encoders, with the tokenizer that feeds it.
public struct TextEncoder: Sendable {
  /// Its folder in diffusers' layout: `text_encoder`, `text_encoder_2`.
  public let name: String
  /// What its file says.
  public let configuration: CLIPTextConfiguration
  /// Its weights.
  public internal(set) var weights: WeightStore
  /// Its tokenizer.
  public let tokenizer: CLIPTokenizer
}

/// A model on disk: its configurations read, its weights mapped.
public struct Checkpoint: Sendable {
  /// The name that pictures are marked with: the folder's or the file's.
  public let name: String
  /// The folder, or the file of a model in one file.
  public let folder: String
  /// The pipeline that `model_index.json` names, or that a single file is one of.
  public let pipelineName: String
  /// The network.
  public let unet: UNetConfiguration
  /// The weights of the network.
  public internal(set) var unetWeights: WeightStore
  /// The text encoders; what they say of a prompt stands side by side in its conditioning.
  public internal(set) var textEncoders: [TextEncoder]
  /// The autoencoder.
  public let autoencoder: AutoencoderConfiguration
  /// The weights of the autoencoder.
  public internal(set) var autoencoderWeights: WeightStore

  /// The phrases that it was trained on, if it says so: any other prompt is likely to disappoint.
  public let vocabulary: PromptVocabulary?

  /// The autoencoder that was asked for.
  public internal(set) var autoencoderChoice = AutoencoderChoice.automatic

  /// The identities of all its weights, by which its engines are found in a cache.
  public var weightIdentities: Set<String> {
    Set(
      unetWeights.identity + autoencoderWeights.identity + textEncoders.flatMap(\.weights.identity))
  }

  /// What was added to its weights, in order.
  public internal(set) var additions: [AppliedWeights] = []

  /// What the folder's `streamflow.json` says of the model.
  let notes: ModelNotes
  let scheduler: SchedulerConfiguration
  /// Whether an absent negative prompt is zeros instead of an encoded empty text.
  let zeroesEmptyPrompt: Bool

  /// Puts a model together from its parts, which must fit each other.
  init(
    name: String, folder: String, pipelineName: String, unet: UNetConfiguration,
    unetWeights: WeightStore, textEncoders: [TextEncoder],
    autoencoder: (configuration: AutoencoderConfiguration, weights: WeightStore),
    notes: ModelNotes, scheduler: SchedulerConfiguration, zeroesEmptyPrompt: Bool = false
  ) throws(ModelError) {
    self.name = name
    self.folder = folder
    self.pipelineName = pipelineName
    self.unet = unet
    self.unetWeights = unetWeights
    self.textEncoders = textEncoders
    self.autoencoder = autoencoder.configuration
    autoencoderWeights = autoencoder.weights
    self.notes = notes
    self.scheduler = scheduler
    self.zeroesEmptyPrompt = zeroesEmptyPrompt
    vocabulary = try PromptVocabulary(besideNotesAt: notes.path)
    try checkParts()
  }

  private func checkParts() throws(ModelError) {
    let width = textEncoders.reduce(0) { $0 + $1.configuration.width }
    guard width == unet.conditioningWidth else {
      throw ModelError(
        code: .fileInvalid,
        message: "'\(folder)': the text encoder is \(width) wide (hidden_size), the network "
          + "reads \(unet.conditioningWidth) (cross_attention_dim)")
    }
    let counts = Set(textEncoders.map(\.configuration.tokenCount))
    guard counts.count == 1 else {
      throw ModelError(
        code: .fileInvalid,
        message: "'\(folder)': the text encoders read \(counts.sorted()) tokens "
          + "(max_position_embeddings), which must be the same")
    }
    if let addition = unet.addition {
      let pooled = textEncoders.last?.configuration.projectionWidth
      guard pooled == addition.pooledWidth else {
        throw ModelError(
          code: .fileInvalid,
          message: "'\(folder)': the network reads a pooled text \(addition.pooledWidth) wide "
            + "(projection_class_embeddings_input_dim), the last text encoder gives "
            + "\(pooled.map { "\($0)" } ?? "none") (projection_dim, text_projection.weight)")
      }
    }
    try checkPairing()
  }

  /// The number of tokens of a prompt, the marks of start and end included.
  public var tokenCount: Int { textEncoders[0].configuration.tokenCount }

  /// The width and height in pixels that the network was trained for.
  public var nativeSize: (width: Int, height: Int) {
    let factor = autoencoder.factor
    return (unet.sampleSize[1] * factor, unet.sampleSize[0] * factor)
  }

  /// The schedule's class as the checkpoint names it.
  public var schedulerName: String { scheduler.className }
}
