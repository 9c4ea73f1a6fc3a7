public import FlowGraph
public import FlowModels

/// Options of measuring a model's 8-bit scales.
public struct QuantizationOptions: Sendable {
  /// The prompts of the images that are generated for calibration.
  ///
  /// Nil for as many of ``standardPrompts`` as take 12 trillion operations, about a minute and a
  /// half of two cores, and at least 4.
  public var prompts: [String]?
  /// The width of those images in pixels; nil for the model's.
  public var width: Int?
  /// Their height in pixels; nil for the model's.
  public var height: Int?
  /// Their number of steps; nil for the model's default.
  public var stepCount: Int?
  /// Their sampling schedule; by default the model's.
  public var schedule = ScheduleChoice.automatic
  /// How the range of a layer's inputs is chosen.
  public var range = TensorRange.Choice.error
  /// The share of the operations that could be done in 8 bits that stays in float32: those of the
  /// most sensitive layers.
  public var floatShare = 0.05
  /// Whether the autoencoder is quantized too.
  public var includesAutoencoder = true

  /// A file in which an unfinished quantization is saved, so that it can continue later; nil for
  /// none.
  public var statePath: String?

  /// Creates the default options, which suit every model.
  public init() {}

  /// Things, scenes and people: two dozen prompts that a model was likely trained for.
  public static let standardPrompts = [
    "a red apple on a white background", "a smiling face", "a dog", "a cat on a sofa",
    "a house by a lake at sunset", "a portrait of an old man", "a green tree", "a blue car",
    "a rocket", "a bowl of soup", "a city street at night", "a snowy mountain", "a yellow flower",
    "a bird in the sky", "a sailing boat", "an astronaut riding a horse", "a slice of cake",
    "a red heart", "a clock on a wall", "a woman in a garden", "a fish under water", "a star",
    "a stack of books", "a pencil drawing of a hand",
  ]
}

/// The result of measuring 8-bit scales.
public struct QuantizationReport: Sendable {
  /// One part of the model.
  public struct Part: Sendable, Codable {
    /// `unet`, `vae decoder` or `vae encoder`.
    public let name: String
    /// The number of layers that compute in 8 bits.
    public let layerCount: Int
    /// The layers that could compute in 8 bits and stay in float32 because they are the most
    /// sensitive.
    public let keptLayers: [String]
    /// The share of all operations of convolutions and matrix products that is done in 8 bits.
    public let operationShare: Double
    /// The signal-to-noise ratio of the output in decibels: at 30 the squared error is a thousandth
    /// of the squared output.
    public let signalToNoise: Double
  }

  /// The parts.
  public let parts: [Part]
  /// The number of network evaluations.
  public let evaluationCount: Int
  /// The content of the scales file.
  public let file: [UInt8]
}
