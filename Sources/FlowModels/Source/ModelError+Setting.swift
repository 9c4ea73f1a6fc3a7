extension ModelError {
  /// A user's setting that can fix a failure.
  ///
  /// Messages describe the setting; a program that reads it from options or fields adds their
  /// names.
  public enum Setting: Equatable, Sendable {
    /// The choice of the model.
    case model
    /// A model of a hub, which must be downloaded; nil for any.
    case download(HubModelName?, revision: String?)
    /// The resource folders of this package.
    case packageFolder
    /// The choice of the autoencoder.
    case autoencoder
    /// The upscaler and its factor.
    case upscaler
    /// The file of the network.
    case network
    /// The files of text encoders.
    case textEncoder
    /// The variant of a folder's weights.
    case variant
    /// Adapters: LoRAs and similar files.
    case adapters
    /// The kind of control image of a union of ControlNets.
    case adapterMode
    /// The reference images of a request, and their area.
    case references
    /// Skip-layer guidance.
    case skipLayers
    /// Full differences that are added to the network's weights.
    case deltaWeights
    /// The 8-bit scales of a model.
    case quantization
    /// The downsampling of a network's keys and values.
    case keyDownsampling
    /// The sampling schedule.
    case schedule
    /// The syntax of prompts.
    case promptSyntax
    /// The size of images.
    case size
    /// The batch size.
    case rowCapacity
    /// The tile size of decoding.
    case tileSize
    /// The number of frames of a live stream that are admitted together.
    case frameBuffer
    /// The number of images of a live stream that are decoded together.
    case decodeBatch
    /// This process's share of a run.
    case share
  }
}
