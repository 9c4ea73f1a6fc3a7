public import FlowGraph
public import FlowModels

/// How a model's 8-bit scales are measured.
public struct QuantizationOptions: Sendable {
  /// The prompts of the images that are generated for calibration.
  ///
  /// Nil takes as many of ``standardPrompts`` as need 12 trillion operations, about a minute and a
  /// half of two cores, and at least 4.
  public var prompts: [String]?
  /// The width of those images in pixels; by default the model's.
  public var width: Int?
  /// Their height in pixels; by default the model's.
  public var height: Int?
  /// Their number of steps; what suits the model unless said.
  public var stepCount: Int?
  /// Their sampling schedule; by default the model's.
  public var schedule = ScheduleChoice.automatic
  /// How the range of a layer's inputs is chosen.
  public var range = TensorRange.Choice.error
  /// Of the operations that could be done in 8 bits, the share that stays in floats: those whose
  /// rounding is felt most.
  public var floatShare = 0.05
  /// Whether the autoencoder is quantized too.
  public var includesAutoencoder = true

  /// A file in which an unfinished quantization is saved, so that it can go on later; none where
  /// it is nil.
  public var statePath: String?

  /// Creates the options that suit every model.
  public init() {}

  /// Things, places and people: two dozen prompts that a model was likely trained for.
  public static let standardPrompts = [
    "a red apple on a white background", "a smiling face", "a dog", "a cat on a sofa",
    "a house by a lake at sunset", "a portrait of an old man", "a green tree", "a blue car",
    "a rocket", "a bowl of soup", "a city street at night", "a snowy mountain", "a yellow flower",
    "a bird in the sky", "a sailing boat", "an astronaut riding a horse", "a slice of cake",
    "a red heart", "a clock on a wall", "a woman in a garden", "a fish under water", "a star",
    "a stack of books", "a pencil drawing of a hand",
  ]
}

/// What came of measuring 8-bit scales.
public struct QuantizationReport: Sendable {
  /// One part of the model.
  public struct Part: Sendable, Codable {
    /// `unet`, `vae decoder` or `vae encoder`.
    public let name: String
    /// The layers that compute in 8 bits.
    public let layerCount: Int
    /// The layers that could, and stay in floats because their rounding is felt most.
    public let keptLayers: [String]
    /// The share of all operations of convolutions and matrix products that is done in 8 bits.
    public let operationShare: Double
    /// The squared error of what comes out over its square, in decibels, as a positive number: 30
    /// is a thousandth.
    public let signalToNoise: Double
  }

  /// The parts.
  public let parts: [Part]
  /// How often the network was evaluated.
  public let evaluationCount: Int
  /// The content of the file of the scales.
  public let file: [UInt8]
}
