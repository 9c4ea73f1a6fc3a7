extension ModelError {
  /// Something that a user sets, and that another value of mends a failure.
  ///
  /// Messages name it in words; a program that reads it from options or fields adds their names.
  public enum Setting: Equatable, Sendable {
    /// Which model.
    case model
    /// A model of a hub, which is to be downloaded; nil for any.
    case download(HubModelName?, revision: String?)
    /// The folders that come with this package.
    case packageFolder
    /// Which autoencoder.
    case autoencoder
    /// Which of a folder's weights.
    case variant
    /// Adapters: LoRAs and their relatives.
    case adapters
    /// Whole differences that are added to the network's weights.
    case deltaWeights
    /// The 8-bit scales of a model.
    case quantization
    /// The sampling schedule.
    case schedule
    /// How a prompt is read.
    case promptSyntax
    /// The size of pictures.
    case size
    /// The rows of a tick.
    case rowCapacity
    /// The size of tiles that a picture is decoded in.
    case tileSize
    /// The frames of a live stream that are admitted together.
    case frameBuffer
    /// The pictures of a live stream that are decoded together.
    case decodeBatch
    /// Which part of a run this process makes.
    case share
  }
}
